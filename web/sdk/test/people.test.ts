import { describe, expect, it } from 'vitest';
import type { ClientBody } from '../src/wire.js';
import { channelOf, frameOf, messageEvent, readyOf, settle, type FakeSocket, type Sent } from './fakes.js';
import { greet, harness, online } from './harness.js';

/** Acknowledges whatever is asked. */
function obliging(socket: FakeSocket): FakeSocket {
  socket.answersPings = true;
  socket.onSent = (frame) => {
    if (frame.type !== 'ping') queueMicrotask(() => socket.push({ type: 'ack', ref: frame.ref }));
  };
  return socket;
}

const refuse = (socket: FakeSocket, frame: Sent, code: string, retryMs = 0) =>
  socket.push({ type: 'error', ref: frame.ref, code, message: code, retryMs });

const user = (userId: string, availability: string, more: object = {}) => ({ userId, availability, devices: [], statusText: '', statusEmoji: '', ...more });
const sets = (socket: FakeSocket, type: ClientBody['type']) =>
  socket.of(type).map((frame) => ('userIds' in frame ? frame.userIds : 'channelIds' in frame ? frame.channelIds : []));

describe('watch', () => {
  it('is told once for all changes of a turn, and not again when nothing changed', async () => {
    const { client, socket } = await online();
    obliging(socket);
    client.watch(['bob']);
    client.watch(['carla', 'bob', 'bob']);
    await settle();
    expect(sets(socket, 'watch')).toEqual([['bob', 'carla']]);
    client.watch(['bob', 'carla']);
    await settle();
    expect(sets(socket, 'watch')).toHaveLength(1);
    client.watch([]);
    await settle();
    expect(sets(socket, 'watch')).toEqual([['bob', 'carla'], []]);
  });

  it('is one at a time: what changed meanwhile follows the answer', async () => {
    const { client, socket } = await online();
    client.watch(['bob']);
    await settle();
    client.watch(['carla']);
    client.watch(['dora']);
    await settle();
    expect(sets(socket, 'watch')).toEqual([['bob']]);
    socket.push({ type: 'ack', ref: socket.last('watch').ref });
    await settle();
    expect(sets(socket, 'watch')).toEqual([['bob'], ['dora']]);
  });

  it('and focus are restored after each ready', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.watch(['bob']);
    client.focus(['general']);
    await settle();
    socket.shut(1006);
    client.watch(['carla']);
    await world.clock.advance(2000);
    const next = obliging(await greet(world));
    await settle();
    expect([sets(next, 'watch'), sets(next, 'focus')]).toEqual([[['carla']], [['general']]]);
  });

  it('that is refused is reported and not repeated; one that is to come later is', async () => {
    const { world, client, socket } = await online();
    socket.answersPings = true;
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.code));
    client.focus(['general']);
    await settle();
    refuse(socket, socket.last('focus'), 'not_a_member');
    client.watch(['bob']);
    await settle();
    refuse(socket, socket.last('watch'), 'unavailable', 5000);
    await world.clock.advance(4900);
    expect([sets(socket, 'focus').length, sets(socket, 'watch').length]).toEqual([1, 1]);
    await world.clock.advance(200);
    expect(sets(socket, 'watch')).toEqual([['bob'], ['bob']]);
    expect(errors).toEqual(['not_a_member']);
  });

  it('that had no answer may have been taken: what was wanted before is told again', async () => {
    const { world, client, socket } = await online();
    socket.answersPings = true;
    client.watch(['bob']);
    await settle();
    socket.push({ type: 'ack', ref: socket.last('watch').ref });
    client.watch(['carla']);
    await world.clock.advance(10_100);
    client.watch(['bob']);
    await world.clock.advance(2000);
    expect(sets(socket, 'watch')).toEqual([['bob'], ['carla'], ['bob']]);
  });

  it('is not asked of a gateway that does not know it, until the next session', async () => {
    const { world, client, socket } = await online();
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.code));
    client.typing('general');
    refuse(socket, socket.last('typing'), 'unknown_type');
    await settle();
    client.watch(['bob']);
    client.focus(['general']);
    await world.clock.advance(5000);
    client.typing('general');
    await settle();
    expect(socket.sent.map(({ type }) => type).filter((type) => type !== 'ping')).toEqual(['hello', 'typing']);
    expect(errors).toEqual(['unknown_type']);
    socket.shut(1006);
    await world.clock.advance(1000);
    const next = obliging(await greet(world));
    await settle();
    expect([sets(next, 'watch'), sets(next, 'focus')]).toEqual([[['bob']], [['general']]]);
  });

  const ids = (count: number) => Array.from({ length: count }, (_, i) => `u${i}`);
  const readyWith = (limits: object) => readyOf([{ id: 'general', headSeq: 10 }], limits);

  it.each([
    ['an older server', {}, 500, 16],
    ['a server that takes less', { maxWatch: 100, maxFocus: 1 }, 100, 1],
    ['a server that takes nothing', { maxWatch: 0, maxFocus: 0 }, 0, 0],
    ['a server that takes more', { maxWatch: 500, maxFocus: 256 }, 500, 256],
  ])('of more than %s takes is refused at once', async (_, limits, maxWatch, maxFocus) => {
    const { world, client } = harness();
    client.connect();
    obliging(await greet(world, readyWith(limits)));
    expect([client.maxWatch, client.maxFocus]).toEqual([maxWatch, maxFocus]);
    expect(() => client.watch(ids(maxWatch + 1))).toThrow(`at most ${maxWatch} `);
    expect(() => client.focus(ids(maxFocus + 1))).toThrow(`at most ${maxFocus} `);
    client.watch(ids(maxWatch));
    client.focus(ids(maxFocus));
  });

  it('that was asked for before the server said how many it takes is cut to the first ones', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.watch(['zoe', 'bob', 'carla']);
    client.focus(['general']);
    await settle();
    socket.push({ type: 'presence', snapshot: true, users: [user('zoe', 'online'), user('carla', 'online')] });
    socket.shut(1006);
    await world.clock.advance(2000);
    const next = obliging(await greet(world, readyWith({ maxWatch: 2, maxFocus: 0 })));
    await settle();
    expect([sets(next, 'watch'), sets(next, 'focus')]).toEqual([[['bob', 'zoe']], []]);
    expect([client.presence('zoe')?.availability, client.presence('carla')]).toEqual(['online', undefined]);
    next.shut(1006);
    await world.clock.advance(2000);
    const last = obliging(await greet(world, readyWith({})));
    await settle();
    expect([sets(last, 'watch'), sets(last, 'focus')]).toEqual([[['bob', 'carla', 'zoe']], [['general']]]);
  });
});

describe('a channel in focus', () => {
  const removed = (channelId: string) => ({ type: 'channelRemoved', channelId, removed: true });
  const added = (id: string) => ({ type: 'channelAdded', state: { channel: channelOf(id), role: 'member', epoch: 7, headSeq: 10 } });
  const there = (channelId: string, ...userIds: string[]) =>
    ({ type: 'channelPresence', channelId, members: 3, online: userIds.length, counted: false, users: userIds.map((id) => user(id, 'online')) });

  it('that the user is removed from is forgotten, and told again when he is back', async () => {
    const { client, socket } = await online();
    obliging(socket);
    client.watch(['bob']);
    client.focus(['general']);
    await settle();
    socket.push(there('general', 'bob', 'carla'), { type: 'typing', channelId: 'general', userIds: ['carla'] });
    const told: string[] = [];
    client.on('presence', (userIds) => told.push(...userIds));
    socket.push(removed('general'));
    await settle();
    expect([client.channelPresence('general'), client.presence('carla'), client.typists('general').userIds]).toEqual([undefined, undefined, []]);
    expect([client.presence('bob')?.availability, told]).toEqual(['online', ['carla']]);
    socket.push(added('general'));
    await settle();
    expect(sets(socket, 'focus')).toEqual([['general'], [], ['general']]);
    socket.push(there('general', 'carla'));
    expect(client.presence('carla')?.availability).toBe('online');
  });

  it('is told again also when he was back before anything was sent', async () => {
    const { client, socket } = await online();
    obliging(socket);
    client.focus(['general']);
    await settle();
    socket.push(removed('general'), added('general'));
    await settle();
    expect(sets(socket, 'focus')).toEqual([['general'], ['general']]);
  });

  it('is not named before he is in it, for the sake of the others', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    socket.push(added('plans'));
    client.focus(['general', 'plans']);
    await settle();
    socket.push(there('general', 'bob'), there('plans', 'carla'));
    socket.shut(1006);
    await world.clock.advance(2000);
    const next = obliging(await greet(world)); // removed from plans meanwhile
    next.push({ type: 'ack', ref: next.last('focus').ref });
    expect(sets(next, 'focus')).toEqual([['general']]);
    expect([client.presence('bob')?.availability, client.presence('carla')]).toEqual(['online', undefined]);
    next.push(added('plans'));
    await settle();
    expect(sets(next, 'focus')).toEqual([['general'], ['general', 'plans']]);
  });

  it('does not take the others with it when the server knew of the removal first', async () => {
    const { client, socket } = await online();
    socket.push(added('plans'));
    client.focus(['general', 'plans']);
    await settle();
    refuse(socket, socket.last('focus'), 'not_a_member');
    await settle();
    expect(sets(socket, 'focus')).toHaveLength(1);
    socket.push(removed('plans'));
    await settle();
    expect(sets(socket, 'focus')).toEqual([['general', 'plans'], ['general']]);
  });

  it('is told again when its answer, the removal and the return come at once', async () => {
    const { client, socket } = await online();
    for (const answer of [{ type: 'ack' }, { type: 'error', code: 'not_a_member', message: 'not a member of general', retryMs: 0 }]) {
      client.focus([]);
      client.focus(['general']);
      await settle();
      const { ref } = socket.last('focus');
      socket.push({ ...answer, ref }, removed('general'), added('general'));
      await settle();
      expect(sets(socket, 'focus').slice(-1)).toEqual([['general']]);
      expect(socket.last('focus').ref).toBeGreaterThan(ref);
      socket.push({ type: 'ack', ref: socket.last('focus').ref });
      await settle();
    }
  });

  it('is forgotten with the session that is closed for good', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.focus(['general']);
    await settle();
    socket.push(there('general', 'bob'));
    client.close();
    client.connect();
    await greet(world, readyOf([]));
    expect([client.channelPresence('general'), client.presence('bob')]).toEqual([undefined, undefined]);
  });
});

describe('presence', () => {
  it('is what was told last; hidden users are not known', async () => {
    const { client, socket } = await online();
    obliging(socket);
    const told: (readonly string[])[] = [];
    client.on('presence', (userIds) => told.push(userIds));
    client.watch(['bob', 'carla', 'nobody']);
    await settle();
    const holiday = { statusText: 'On holiday', statusEmoji: '🌴', lastSeenAt: '2026-01-01T17:03:00Z', statusUntil: '2026-01-05T08:00:00Z' };
    const users = [user('bob', 'online', { devices: ['web'] }), user('carla', 'offline', holiday)];
    socket.push({ type: 'presence', snapshot: true, users, hiddenUserIds: ['nobody'] });
    expect(client.presence('bob')).toMatchObject({ availability: 'online', devices: ['web'], lastSeenAt: 0 });
    const times = { lastSeenAt: Date.UTC(2026, 0, 1, 17, 3), statusUntil: Date.UTC(2026, 0, 5, 8) };
    expect(client.presence('carla')).toMatchObject({ availability: 'offline', statusText: 'On holiday', statusEmoji: '🌴', ...times });
    expect(client.presence('nobody')).toBeUndefined();
    socket.push({ type: 'presence', snapshot: false, users: [user('carla', 'dnd')], hiddenUserIds: ['bob'] });
    expect([client.presence('bob'), client.presence('carla')?.availability]).toEqual([undefined, 'dnd']);
    expect(told).toEqual([['bob', 'carla'], ['carla', 'bob']]);
  });

  it('of a channel is a list or a count; who left the list is not known any more', async () => {
    const { client, socket } = await online();
    obliging(socket);
    client.focus(['general']);
    await settle();
    const list = { type: 'channelPresence', channelId: 'general', members: 3, counted: false };
    socket.push({ ...list, online: 2, users: [user('bob', 'online'), user('carla', 'away')] });
    expect(client.channelPresence('general')).toMatchObject({ members: 3, online: 2, userIds: ['bob', 'carla'] });
    socket.push({ type: 'presence', snapshot: false, users: [user('dora', 'online')] });
    expect(client.presence('dora')?.availability).toBe('online');
    const told: string[] = [];
    client.on('presence', (userIds) => told.push(...userIds));
    socket.push({ ...list, online: 2, users: [user('bob', 'online'), user('dora', 'online')] });
    expect(client.presence('carla')).toBeUndefined();
    expect(told).toContain('carla');
    socket.push({ ...list, members: 900, online: 512, counted: true, users: [] });
    expect(client.channelPresence('general')).toMatchObject({ online: 512, counted: true, userIds: [] });
    client.focus([]);
    expect([client.channelPresence('general'), client.presence('bob')]).toEqual([undefined, undefined]);
  });

  it('is told of those whom a new set makes forgotten', async () => {
    const { client, socket } = await online();
    obliging(socket);
    client.watch(['bob']);
    client.focus(['general']);
    await settle();
    socket.push({ type: 'channelPresence', channelId: 'general', members: 3, online: 1, counted: false, users: [user('carla', 'online')] });
    socket.push({ type: 'presence', snapshot: true, users: [user('bob', 'online')] });
    const told: (readonly string[])[] = [];
    client.on('presence', (userIds) => told.push(userIds));
    client.watch(['dora']);
    client.focus([]);
    client.watch([]);
    expect([client.presence('bob'), client.presence('carla'), told]).toEqual([undefined, undefined, [['bob'], ['carla']]]);
  });

  it('that was under way when the set changed is not taken: nothing would end it', async () => {
    const { client, socket } = await online();
    obliging(socket);
    const told: (readonly string[])[] = [];
    client.on('presence', (userIds) => told.push(userIds));
    client.watch(['bob']);
    client.focus(['general']);
    await settle();
    client.watch(['carla']);
    client.focus([]);
    const list = { type: 'channelPresence', channelId: 'general', members: 3, online: 1, counted: false, users: [user('dora', 'online')] };
    socket.push(list, { type: 'presence', snapshot: true, users: [user('bob', 'online')] });
    expect([client.channelPresence('general'), client.presence('bob'), client.presence('dora')]).toEqual([undefined, undefined, undefined]);
    client.focus(['general']);
    socket.push({ ...list, members: 900, counted: true, users: [] });
    socket.push({ type: 'presence', snapshot: false, users: [user('bob', 'online'), user('carla', 'online')] });
    expect([client.presence('bob'), client.presence('carla')?.availability]).toEqual([undefined, 'online']);
    expect(told).toEqual([['carla']]);
  });

  it('stays over a lost connection, and goes with the user', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.watch(['bob']);
    socket.push({ type: 'presence', snapshot: true, users: [user('bob', 'online')] });
    socket.shut(1006);
    expect(client.presence('bob')?.availability).toBe('online');
    await world.clock.advance(2000);
    await greet(world, readyOf([{ id: 'general', headSeq: 10 }], { userId: 'another' }));
    expect(client.presence('bob')).toBeUndefined();
  });
});

describe('typing', () => {
  const said = (socket: FakeSocket) => socket.of('typing').map(({ channelId, threadId, stopped }) => `${channelId}/${threadId}${stopped ? ' stopped' : ''}`);

  it('is said every 3 s while there is input, and not after it', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    for (let i = 0; i < 10; i++) {
      client.typing('general');
      await world.clock.advance(500);
    }
    expect(said(socket)).toEqual(['general/', 'general/']);
    await world.clock.advance(20_000);
    expect(said(socket)).toHaveLength(3); // the input since the second one
  });

  it('ends when the input is emptied, once; and without a word when it was sent', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.typing('general', 't1');
    client.stopTyping('general');
    client.stopTyping('general', 't1');
    client.stopTyping('general', 't1');
    expect(said(socket)).toEqual(['general/t1', 'general/t1 stopped']);
    client.typing('general', 't1');
    expect(said(socket)).toHaveLength(2); // too early: said when it is time
    await world.clock.advance(3300);
    expect(said(socket)).toHaveLength(3);
    client.typing('general', 't1');
    client.send('general', 'hello', { threadId: 't1' });
    client.stopTyping('general', 't1');
    await world.clock.advance(10_000);
    expect(said(socket)).toHaveLength(3);
  });

  const own = (availability: string) => ({ type: 'presence', snapshot: false, users: [user('me', availability)] });

  it('is not said of somebody invisible, and taken back when he becomes it', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.watch(['me']);
    await settle();
    client.typing('general', 't1');
    await world.clock.advance(500);
    client.typing('general', 't1'); // to be said when it is time
    socket.push(own('invisible'));
    expect(said(socket)).toEqual(['general/t1', 'general/t1 stopped']);
    await world.clock.advance(5000);
    client.typing('general', 't1');
    client.stopTyping('general', 't1');
    await world.clock.advance(5000);
    expect(said(socket)).toHaveLength(2);
    socket.push(own('online'));
    client.typing('general', 't1');
    expect(said(socket)).toHaveLength(3);
  });

  it('is not said after setStatus says invisible, to its end, nor in the next session', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.typing('general');
    const modeUntil = new Date(world.clock.wall() + 60_000).toISOString();
    await client.setStatus({ mode: 'invisible', modeUntil });
    const told = socket.sent.map((frame) => frame.type).filter((type) => type === 'typing' || type === 'status');
    expect(told).toEqual(['typing', 'typing', 'status']); // the end of it before anything else
    await world.clock.advance(10_000);
    client.typing('general');
    socket.shut(1006);
    await world.clock.advance(2000);
    const next = obliging(await greet(world));
    client.typing('general');
    await world.clock.advance(10_000);
    expect([said(socket).length, said(next)]).toEqual([2, []]);
    await world.clock.advance(60_000);
    client.typing('general');
    expect(said(next)).toEqual(['general/']);
  });

  it('is said again when the server would not have him invisible', async () => {
    const { world, client, socket } = await online();
    socket.answersPings = true;
    const refused = client.setStatus({ mode: 'invisible' }).catch((error: { code: string }) => error.code);
    client.typing('general');
    refuse(socket, socket.last('status'), 'rate_limited', 5000);
    expect([await refused, said(socket)]).toEqual(['rate_limited', []]);
    client.typing('general');
    expect(said(socket)).toEqual(['general/']);
    await world.clock.advance(0);
  });

  it('is said again to the next session while it lasts', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.typing('general');
    socket.shut(1006);
    client.typing('general');
    await world.clock.advance(1000);
    const next = await greet(world);
    expect(said(next)).toEqual(['general/']);
    world.online = false;
    next.shut(1006);
    await world.clock.advance(10_000);
    world.online = true;
    world.signal('online');
    const third = await greet(world);
    expect(third).not.toBe(next);
    expect(said(third)).toEqual([]);
  });

  it('of others is shown until the server says otherwise or falls silent, and never oneself', async () => {
    const { world, client, socket } = await online();
    obliging(socket);
    client.focus(['general']);
    const told: string[] = [];
    client.on('typing', ({ userIds, more }) => told.push(`${userIds.join('+')} ${more}`));
    socket.push({ type: 'typing', channelId: 'general', threadId: '', userIds: ['me', 'anna'], more: 2 });
    expect(client.typists('general')).toEqual({ channelId: 'general', threadId: '', userIds: ['anna'], more: 2 });
    expect(client.typists('general', 't1').userIds).toEqual([]);
    await world.clock.advance(5000);
    socket.push({ type: 'typing', channelId: 'general', threadId: '', userIds: ['anna'], more: 0 });
    await world.clock.advance(7900);
    expect(client.typists('general').userIds).toEqual(['anna']);
    await world.clock.advance(200);
    expect(client.typists('general').userIds).toEqual([]);
    expect(told).toEqual(['anna 2', 'anna 0', ' 0']);
  });

  it('of somebody ends with his message, with the focus, and with the connection', async () => {
    const { client, socket } = await online();
    const anna = { type: 'typing', channelId: 'general', threadId: '', userIds: ['anna', 'bob'], more: 0 };
    client.focus(['general']);
    socket.push(anna, frameOf(messageEvent(11, 10, 'hi', 'anna')));
    expect(client.typists('general').userIds).toEqual(['bob']);
    client.focus([]);
    expect(client.typists('general').userIds).toEqual([]);
    client.focus(['general']);
    socket.push(anna);
    socket.shut(1006);
    expect(client.typists('general').userIds).toEqual([]);
  });

  it('that is refused is reported; the session goes on', async () => {
    const { client, socket } = await online();
    const errors: string[] = [];
    client.on('error', (error) => errors.push(error.code));
    client.typing('general');
    refuse(socket, socket.last('typing'), 'archived');
    await settle();
    expect([errors, client.state.status]).toEqual([['archived'], 'online']);
  });
});
