import { describe, expect, it } from 'vitest';
import { backoff } from '../src/backoff.js';
import { planAfterClose } from '../src/close.js';
import { TRANSITIONS, type Status } from '../src/connection.js';
import { readyOf, settle } from './fakes.js';
import { greet, harness, online } from './harness.js';

describe('backoff', () => {
  const options = { base: 100, max: 1000, jitter: 0.5 };

  it('doubles, up to the maximum', () => {
    expect([0, 1, 2, 3, 4, 500].map((attempt) => backoff(attempt, options, 0))).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  it('adds jitter, and stays below the maximum', () => {
    expect(backoff(0, options, 0.5)).toBe(125);
    expect(backoff(3, options, 0.999)).toBe(1000);
  });
});

describe('close codes', () => {
  it.each([
    [1000, 'backoff', false, 0],
    [1006, 'backoff', false, 0],
    [1012, 'hint', false, 0],
    [1013, 'backoff', false, 5000],
    [4001, 'now', true, 0],
    [4002, 'now', true, 0],
    [4004, 'backoff', false, 0],
    [4005, 'now', false, 0],
    [4008, 'backoff', false, 1000],
    [4009, 'backoff', false, 10_000],
    [4010, 'now', false, 0],
  ] as const)('%i: retry %s, fresh token %s, not before %i ms', (code, delay, freshToken, floorMs) => {
    expect(planAfterClose(code, false)).toEqual({ kind: 'retry', delay, freshToken, floorMs });
  });

  it.each([
    [4000, false, 'protocol_error'],
    [4003, false, 'forbidden'],
    [4001, true, 'unauthenticated'],
  ] as const)('%i (token refused before: %s): stop, %s', (code, refused, reason) => {
    expect(planAfterClose(code, refused)).toEqual({ kind: 'stop', reason });
  });
});

describe('connecting', () => {
  it('goes through its states and says hello with the token', async () => {
    const { world, client } = harness({ client: 'test/1' });
    const states: Status[] = [];
    client.on('state', ({ status }) => states.push(status));
    client.connect();
    const socket = await greet(world);
    expect(states).toEqual(['connecting', 'authenticating', 'online']);
    expect(socket.url).toBe('ws://test/ws');
    expect(socket.protocols).toEqual(['parley.v1.json']);
    expect(socket.last('hello')).toMatchObject({ token: 't1', client: 'test/1', cursors: [], compress: false });
    expect([client.userId, client.userName]).toEqual(['me', 'Me']);
  });

  it('leaves no state twice: each has a way to closed, and closed only one back', () => {
    for (const [from, to] of Object.entries(TRANSITIONS)) {
      if (from === 'closed') expect(to).toEqual(['connecting']);
      else expect(to).toContain('closed');
    }
  });

  it('gives up a socket that does not open, and a hello without an answer', async () => {
    const { world, client } = harness();
    client.connect();
    await settle();
    await world.clock.advance(10_000);
    expect(world.socket.closedBy).toBe('client');
    expect(client.state.status).toBe('waiting');
    await world.clock.advance(500);
    world.socket.open();
    await world.clock.advance(10_000);
    expect(client.state.status).toBe('waiting');
    expect(world.sockets).toHaveLength(2);
  });

  it('starts once, however often it is asked', async () => {
    const { world, client } = harness();
    client.connect();
    client.connect();
    await greet(world);
    client.connect();
    await settle();
    expect(world.sockets).toHaveLength(1);
  });
});

describe('reconnecting', () => {
  it('waits longer after each failure, and starts again after a good session', async () => {
    const { world, client } = await online();
    world.socket.shut(1006);
    for (const delay of [500, 1000, 2000]) {
      const before = world.sockets.length;
      expect(client.state.status).toBe('waiting');
      expect(client.state.retryAt).toBe(world.clock.wall() + delay);
      await world.clock.advance(delay - 1);
      expect(world.sockets).toHaveLength(before);
      await world.clock.advance(1);
      expect(world.sockets).toHaveLength(before + 1);
      world.socket.shut(1006);
    }
    await world.clock.advance(4000);
    await greet(world);
    await world.clock.advance(10_000);
    world.socket.shut(1006);
    expect(client.state.retryAt).toBe(world.clock.wall() + 500);
  });

  it('does not take a session that broke at once for a good one', async () => {
    const { world, client } = await online();
    world.socket.shut(1006);
    await world.clock.advance(500);
    await greet(world);
    world.socket.shut(1006);
    expect(client.state.retryAt).toBe(world.clock.wall() + 1000);
  });

  it('comes back at once where the code says so, but only the first time', async () => {
    const { world } = await online();
    await world.clock.advance(10_000);
    world.socket.shut(4010);
    await world.clock.advance(0);
    expect(world.sockets).toHaveLength(2);
    world.socket.shut(4010);
    await world.clock.advance(0);
    expect(world.sockets).toHaveLength(2);
    await world.clock.advance(1000);
    expect(world.sockets).toHaveLength(3);
  });

  it('waits at least as long as the code says', async () => {
    const { world, client } = await online();
    world.socket.shut(4009);
    expect(client.state.retryAt).toBe(world.clock.wall() + 10_000);
  });

  it('takes the time that the server named, and leaves by itself when the server does not close', async () => {
    const { world, client } = await online();
    world.socket.push({ type: 'reconnect', ref: 0, afterMs: 3000 });
    await world.clock.advance(1000);
    world.socket.shut(1012);
    expect(client.state.retryAt).toBe(world.clock.wall() + 2000);
    await world.clock.advance(2000);
    await greet(world);
    world.socket.push({ type: 'reconnect', ref: 0, afterMs: 700 });
    await world.clock.advance(700);
    expect(world.sockets[1]!.closedBy).toBe('client');
    expect(world.sockets).toHaveLength(3);
  });

  it('tries at once when the network is back, or the page wakes', async () => {
    const { world, client } = await online();
    world.socket.shut(1013);
    world.signal('online');
    await settle();
    expect(world.sockets).toHaveLength(2);
    world.socket.shut(1006);
    expect(client.state.retryAt).toBe(world.clock.wall() + 500); // the failures before do not count any more
    world.signal('wake');
    await settle();
    expect(world.sockets).toHaveLength(3);
    expect(client.state.status).toBe('connecting');
  });

  it('says offline when the host does, and still tries now and then', async () => {
    const { world, client } = await online();
    world.online = false;
    world.socket.shut(1006);
    expect(client.state.status).toBe('offline');
    world.signal('wake');
    await settle();
    expect(world.sockets).toHaveLength(1);
    await world.clock.advance(30_000);
    expect(world.sockets).toHaveLength(2);
  });

  it('turns from waiting to offline', async () => {
    const { world, client } = await online();
    world.socket.shut(1013);
    world.online = false;
    world.signal('offline');
    expect(client.state.status).toBe('offline');
  });

  it.each([4000, 4003])('stops at %i and says why; connect starts again', async (code) => {
    const { world, client } = await online();
    const codes: string[] = [];
    client.on('error', (error) => codes.push(error.code));
    world.socket.shut(code, 'because');
    expect(client.state).toMatchObject({ status: 'closed', reason: code === 4000 ? 'protocol_error' : 'forbidden' });
    expect(client.state.error?.message).toBe('because');
    expect(codes).toHaveLength(1);
    await world.clock.advance(120_000);
    expect(world.sockets).toHaveLength(1);
    client.connect();
    await greet(world);
    expect(client.state.status).toBe('online');
  });

  it('leaves no timer behind when it is closed', async () => {
    const { world, client } = await online();
    client.close();
    expect(client.state).toMatchObject({ status: 'closed', reason: 'stopped' });
    expect(world.socket.closedBy).toBe('client');
    expect(world.clock.pending).toBe(0);
  });

  it('does not listen to a socket of an earlier attempt', async () => {
    const { world, client } = harness();
    client.connect();
    await settle();
    const first = world.socket;
    client.close();
    client.connect();
    await greet(world);
    first.shut(1006);
    expect(client.state.status).toBe('online');
  });
});

describe('heartbeat', () => {
  it('pings within the period, and goes on after the pong', async () => {
    const { world, socket, client } = await online();
    await world.clock.advance(25_000);
    expect(socket.of('ping')).toHaveLength(1);
    socket.push({ type: 'pong', ref: socket.last('ping').ref });
    await world.clock.advance(25_000);
    expect(socket.of('ping')).toHaveLength(2);
    expect(client.state.status).toBe('online');
  });

  it('pings earlier where the server asks for it', async () => {
    const { world, client } = harness();
    client.connect();
    const socket = await greet(world, readyOf([], { heartbeatMs: 10_000 }));
    await world.clock.advance(9_000);
    expect(socket.of('ping')).toHaveLength(1);
  });

  it('gives up 5 s after a ping without an answer', async () => {
    const { world, socket, client } = await online();
    socket.sent.length = 0;
    await world.clock.advance(25_000);
    expect(client.state.status).toBe('online');
    await world.clock.advance(5_000);
    expect(socket.closedBy).toBe('client');
    expect(client.state.status).not.toBe('online');
  });

  it('takes whatever arrives for a sign of life', async () => {
    const { world, socket, client } = await online();
    world.random = 0;
    await world.clock.advance(23_000);
    expect(socket.of('ping')).toHaveLength(1);
    await world.clock.advance(4_000);
    socket.push({ type: 'news', ref: 0 });
    await world.clock.advance(4_000);
    expect(client.state.status).toBe('online');
    await world.clock.advance(2_000);
    expect(client.state.status).not.toBe('online');
  });

  it.each(['offline', 'wake', 'online'] as const)('tests the connection on %s', async (signal) => {
    const { world, socket, client } = await online();
    world.signal(signal);
    world.signal(signal);
    expect(socket.of('ping')).toHaveLength(1);
    await world.clock.advance(5_000);
    expect(client.state.status).not.toBe('online');
  });

  it('tests the connection when the clock has jumped', async () => {
    const { world, socket } = await online();
    await world.clock.advance(6_000);
    expect(socket.of('ping')).toHaveLength(0);
    world.clock.epoch += 60_000;
    await world.clock.advance(5_000);
    expect(socket.of('ping')).toHaveLength(1);
  });
});

describe('token', () => {
  const expiring = (world: { clock: { wall(): number } }, lifeMs: number, skew = 0) =>
    readyOf([], {
      serverTime: new Date(world.clock.wall() + skew).toISOString(),
      tokenExpiresAt: new Date(world.clock.wall() + skew + lifeMs).toISOString(),
    });

  it('is renewed a minute before it expires, by the clock of the server', async () => {
    const { world, client, asked } = harness();
    client.connect();
    const socket = await greet(world, expiring(world, 600_000, 3_600_000));
    socket.answersPings = true;
    await world.clock.advance(539_000);
    expect(socket.of('auth')).toHaveLength(0);
    await world.clock.advance(1_000);
    expect(socket.last('auth').token).toBe('t2');
    expect(asked).toEqual(['connect', 'renew']);
    const tokenExpiresAt = new Date(world.clock.wall() + 3_600_000 + 100_000).toISOString();
    socket.push({ type: 'authenticated', ref: socket.last('auth').ref, tokenExpiresAt });
    await world.clock.advance(80_000);
    expect(socket.of('auth')).toHaveLength(2);
  });

  it('is renewed in time when it lives shorter than a minute', async () => {
    const { world, client } = harness();
    client.connect();
    const socket = await greet(world, expiring(world, 10_000));
    await world.clock.advance(8_000);
    expect(socket.of('auth')).toHaveLength(1);
  });

  it('is asked for again when renewing failed', async () => {
    let asks = 0;
    const token = () => {
      if (++asks === 2) throw new Error('backend is away');
      return `t${asks}`;
    };
    const { world, client } = harness({ token });
    client.connect();
    const socket = await greet(world, expiring(world, 60_000));
    socket.answersPings = true;
    await world.clock.advance(48_000);
    expect([asks, socket.of('auth').length]).toEqual([2, 0]);
    await world.clock.advance(5_000);
    expect(socket.last('auth').token).toBe('t3');
  });

  it('is used again for the next connection while it lasts', async () => {
    const { world, asked } = await online();
    world.socket.shut(1006);
    await world.clock.advance(500);
    world.socket.open();
    expect(world.socket.last('hello').token).toBe('t1');
    expect(asked).toEqual(['connect']);
  });

  it('is replaced at once after 4002', async () => {
    const { world, asked } = await online();
    await world.clock.advance(10_000);
    world.socket.shut(4002);
    await world.clock.advance(0);
    world.socket.open();
    expect(world.socket.last('hello').token).toBe('t2');
    expect(asked).toEqual(['connect', 'refused']);
  });

  it('is replaced once after 4001; the second refusal ends it', async () => {
    const { world, client, asked } = harness();
    client.connect();
    await settle();
    world.socket.open();
    world.socket.push({ type: 'error', ref: world.socket.last('hello').ref, code: 'unauthenticated', message: 'bad signature', retryMs: 0 });
    await settle();
    world.socket.shut(4001);
    await world.clock.advance(0);
    expect(asked).toEqual(['connect', 'refused']);
    world.socket.open();
    world.socket.shut(4001);
    expect(client.state).toMatchObject({ status: 'closed', reason: 'unauthenticated' });
  });

  it('that cannot be had is asked for later; a fatal error ends it', async () => {
    const errors = [new Error('away'), Object.assign(new Error('signed out'), { fatal: true })];
    const { world, client } = harness({ token: () => Promise.reject(errors.shift()!) });
    client.connect();
    await settle();
    expect(client.state.status).toBe('waiting');
    await world.clock.advance(500);
    expect(client.state).toMatchObject({ status: 'closed', reason: 'unauthenticated' });
  });
});

describe('frames', () => {
  it('that are compressed are read in their place', async () => {
    const inflate = (data: ArrayBuffer): Promise<string> => Promise.resolve(new TextDecoder().decode(data));
    const { world, client } = harness({ env: { inflate } as never });
    const seen: number[] = [];
    client.on('event', (event) => seen.push(event.seq));
    client.connect();
    const socket = await greet(world);
    expect(socket.last('hello').compress).toBe(true);
    const event = (seq: number) => JSON.stringify({ type: 'event', ref: 0, channelId: 'general', seq, prev: seq - 1, id: 'x', actorId: 'a' });
    socket.raw(new TextEncoder().encode(`${event(11)}\n${event(12)}`).buffer);
    socket.raw(event(13));
    await settle();
    socket.raw(event(14));
    expect(seen).toEqual([11, 12, 13, 14]);
  });

  it('that cannot be read are reported, and the others of the batch are kept', async () => {
    const { socket, client } = await online();
    const errors: string[] = [];
    const seen: number[] = [];
    client.on('error', (error) => errors.push(error.code));
    client.on('event', (event) => seen.push(event.seq));
    socket.raw('{"type":"event","ref":0,"channelId":"general","seq":11,"prev":10}\n{oops\n\n{"type":"event","channelId":"general","seq":12,"prev":11}\n');
    expect([errors, seen]).toEqual([['bad_frame'], [11, 12]]);
  });

  it('of an unknown type are passed over', async () => {
    const { socket, client } = await online();
    socket.push({ type: 'hologram', ref: 0 });
    expect(client.state.status).toBe('online');
  });
});
