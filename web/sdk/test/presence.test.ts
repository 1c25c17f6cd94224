import { describe, expect, it } from 'vitest';
import { settle, type FakeSocket } from './fakes.js';
import { greet, online } from './harness.js';

const MINUTE = 60_000;

const said = (socket: FakeSocket) => socket.of('idle').map(({ idle }) => idle);
const refuse = (socket: FakeSocket, code: string, retryMs = 0) =>
  socket.push({ type: 'error', ref: socket.last('idle').ref, code, message: code, retryMs });
const take = (socket: FakeSocket) => socket.push({ type: 'ack', ref: socket.last('idle').ref });

describe('idle', () => {
  it('is told after five minutes without input, and its end at once', async () => {
    const { world, socket } = await online();
    socket.answersPings = true;
    await world.clock.advance(4 * MINUTE);
    world.input();
    await world.clock.advance(4.9 * MINUTE);
    expect(socket.of('idle')).toEqual([]);
    await world.clock.advance(0.2 * MINUTE);
    expect(said(socket)).toEqual([true]);
    world.input();
    world.input();
    await settle();
    expect(said(socket)).toEqual([true, false]);
    take(socket);
    await world.clock.advance(5.1 * MINUTE);
    expect(socket.of('idle')).toHaveLength(3);
  });

  it('is said again by the next session', async () => {
    const { world, socket } = await online({ idleAfterMs: 1000 });
    await world.clock.advance(1100);
    expect(socket.of('idle')).toHaveLength(1);
    socket.shut(1006);
    await world.clock.advance(2000);
    const next = await greet(world);
    expect(next).not.toBe(socket);
    expect(said(next)).toEqual([true]);
  });

  it('is said again when the server had no time for it, or gave no answer', async () => {
    const { world, socket } = await online({ idleAfterMs: 1000 });
    socket.answersPings = true;
    await world.clock.advance(1100);
    refuse(socket, 'rate_limited', 5000);
    await world.clock.advance(4900);
    expect(said(socket)).toEqual([true]);
    await world.clock.advance(200);
    expect(said(socket)).toEqual([true, true]);
    await world.clock.advance(10_000); // no answer
    expect(said(socket)).toHaveLength(2);
    await world.clock.advance(2100);
    expect(said(socket)).toHaveLength(3);
    take(socket);
    await world.clock.advance(10 * MINUTE);
    expect(said(socket)).toEqual([true, true, true]);
  });

  it('is not said again when it is not so any more', async () => {
    const { world, socket } = await online({ idleAfterMs: 60_000 });
    socket.answersPings = true;
    await world.clock.advance(60_100);
    const { ref } = socket.last('idle');
    world.input();
    socket.push({ type: 'error', ref, code: 'unavailable', message: 'late', retryMs: 1000 });
    take(socket);
    await world.clock.advance(50_000);
    expect(said(socket)).toEqual([true, false]);
    await world.clock.advance(20_000);
    refuse(socket, 'rate_limited', 5000);
    await settle();
    world.input();
    take(socket);
    await world.clock.advance(50_000);
    expect(said(socket)).toEqual([true, false, true, false]);
  });

  it('is left to the next session when this one ends, and said there once', async () => {
    const { world, socket } = await online({ idleAfterMs: 1000 });
    await world.clock.advance(1100);
    refuse(socket, 'rate_limited', 5000);
    await settle();
    socket.shut(1006);
    await world.clock.advance(1000);
    const next = await greet(world);
    next.answersPings = true;
    take(next);
    await world.clock.advance(20_000);
    expect([said(socket), said(next)]).toEqual([[true], [true]]);
  });

  it('that is refused for good is reported, and not said again', async () => {
    const { world, client, socket } = await online({ idleAfterMs: 1000 });
    socket.answersPings = true;
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.code));
    await world.clock.advance(1100);
    refuse(socket, 'unknown_type');
    await world.clock.advance(MINUTE);
    expect([said(socket), errors]).toEqual([[true], ['unknown_type']]);
  });

  it('ends with close: a session after it begins as in use', async () => {
    const { world, client } = await online({ idleAfterMs: 1000 });
    await world.clock.advance(1100);
    client.close();
    client.connect();
    expect(said(await greet(world))).toEqual([]);
  });

  it('says nothing while there is no session, and nothing more after close', async () => {
    const { world, client, socket } = await online({ idleAfterMs: 1000 });
    world.online = false;
    socket.shut(1006);
    await world.clock.advance(5000);
    expect(socket.of('idle')).toEqual([]);
    client.close();
    expect(world.hearsInput).toBe(false);
  });

  it('can be switched off', async () => {
    const { world, socket } = await online({ idleAfterMs: 0 });
    socket.answersPings = true;
    await world.clock.advance(30 * MINUTE);
    expect(socket.of('idle')).toEqual([]);
  });
});

describe('status', () => {
  it('is sent, and resolves when it is kept', async () => {
    const { client, socket } = await online({ device: 'mobile' });
    expect(socket.last('hello').device).toBe('mobile');
    const set = client.setStatus({ mode: 'dnd', text: 'In a meeting' });
    const { ref, ...frame } = socket.last('status');
    expect(frame).toEqual({ type: 'status', mode: 'dnd', text: 'In a meeting' });
    socket.push({ type: 'ack', ref, id: '', channelId: '', seq: 0, duplicate: false });
    await expect(set).resolves.toBeUndefined();
  });

  it('rejects with what is wrong', async () => {
    const { client, socket } = await online();
    const set = client.setStatus({ text: 'x'.repeat(141) });
    const { ref } = socket.last('status');
    socket.push({ type: 'error', ref, code: 'bad_request', message: 'text must have at most 140 characters', retryMs: 0 });
    await expect(set).rejects.toMatchObject({ code: 'bad_request' });
  });
});
