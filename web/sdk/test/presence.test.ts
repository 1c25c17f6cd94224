import { describe, expect, it } from 'vitest';
import { settle } from './fakes.js';
import { greet, online } from './harness.js';

const MINUTE = 60_000;

describe('idle', () => {
  it('is told after five minutes without input, and its end at once', async () => {
    const { world, socket } = await online();
    socket.answersPings = true;
    await world.clock.advance(4 * MINUTE);
    world.input();
    await world.clock.advance(4.9 * MINUTE);
    expect(socket.of('idle')).toEqual([]);
    await world.clock.advance(0.2 * MINUTE);
    expect(socket.of('idle').map(({ idle }) => idle)).toEqual([true]);
    world.input();
    world.input();
    await settle();
    expect(socket.of('idle').map(({ idle }) => idle)).toEqual([true, false]);
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
    expect(next.of('idle').map(({ idle }) => idle)).toEqual([true]);
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
