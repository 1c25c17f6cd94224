import { describe, expect, it } from 'vitest';
import { MAX_HELD } from '../src/chain.js';
import type { ParleyClient } from '../src/client.js';
import { deleteEvent, editEvent, frameOf, messageEvent, readyOf, settle, wireMessage, type Call, type Route } from './fakes.js';
import { greet, harness, online, type Harness } from './harness.js';

const contents = (client: ParleyClient) => client.channel('general')!.messages.map((message) => message.content);
const range = (from: number, through: number) => Array.from({ length: through - from + 1 }, (_, i) => from + i);

/** A history that holds the messages 1 to `through` of a channel, each its own event. */
function historyOf(through: number, pageSize = 200): Route {
  return ({ path, query }: Call) => {
    if (path.endsWith('/events')) {
      const from = Number(query.get('after'));
      const seqs = range(from + 1, Math.min(through, from + pageSize));
      const throughSeq = Math.max(from, Math.min(through, from + pageSize));
      const events = seqs.map((seq) => messageEvent(seq, seq - 1));
      return { body: { events, fromSeq: from, throughSeq, more: throughSeq < through, epoch: 7 } };
    }
    const last = Math.min(Number(query.get('before') ?? Infinity) - 1, through);
    const first = Math.max(1, last - Number(query.get('limit')) + 1);
    const messages = range(first, last).map((seq) => wireMessage(seq));
    return { body: { messages, completeThroughSeq: through, stateSeq: through, hasBefore: first > 1, hasAfter: last < through } };
  };
}

async function opened(through: number, route = historyOf(through)): Promise<Harness> {
  const made = harness();
  made.world.route = route;
  made.client.connect();
  await greet(made.world, readyOf([{ id: 'general', headSeq: through }]));
  await made.client.open('general');
  await settle();
  return made;
}

describe('a break in a live session', () => {
  it('is repaired by the gateway: resume with the cursor, replay, then what was held', async () => {
    const { client, socket } = await online();
    socket.push(frameOf(messageEvent(13, 12)), frameOf(messageEvent(14, 13)));
    await settle();
    expect(socket.of('resume').map((frame) => frame.cursors)).toEqual([[{ channelId: 'general', epoch: 7, seq: 10 }]]);
    expect(contents(client)).toEqual([]);
    expect(client.channel('general')?.complete).toBe(false);
    const events = [messageEvent(11, 10), messageEvent(12, 11)];
    socket.push({ type: 'replay', ref: 0, channelId: 'general', epoch: 7, fromSeq: 10, throughSeq: 12, events, more: false });
    await settle();
    expect(contents(client)).toEqual(['m11', 'm12', 'm13', 'm14']);
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('an event that comes twice is shown and told once', async () => {
    const { client, socket } = await online();
    const told: number[] = [];
    client.on('message', (message) => told.push(message.seq));
    socket.push(frameOf(messageEvent(11, 10)), frameOf(messageEvent(11, 10)));
    await settle();
    expect([contents(client), told]).toEqual([['m11'], [11]]);
  });

  it('breaks of many channels are asked for in one frame', async () => {
    const { world, client } = harness();
    client.connect();
    const socket = await greet(world, readyOf([{ id: 'a', headSeq: 1 }, { id: 'b', headSeq: 1 }]));
    for (const channelId of ['a', 'b']) socket.push(frameOf({ ...messageEvent(9, 8), channelId }));
    await settle();
    expect(socket.of('resume').map((frame) => frame.cursors.length)).toEqual([2]);
  });

  it('is asked for again when no replay comes; then the channel goes on live with a hole', async () => {
    const { world, client, socket } = await online();
    client.open('general').catch(() => {});
    socket.push(frameOf(messageEvent(13, 12)));
    await settle();
    const toChain = () => socket.of('resume').filter((frame) => frame.cursors[0]!.seq === 10).length;
    expect(toChain()).toBe(1);
    await world.clock.advance(8_000 + 1_000);
    expect(toChain()).toBe(2);
    expect(contents(client)).toEqual([]);
    await world.clock.advance(8_000 + 2_000 + 8_000);
    expect(contents(client)).toEqual(['m13']);
    expect(client.channel('general')?.complete).toBe(false);
    socket.push(frameOf(messageEvent(14, 13)));
    expect(contents(client)).toEqual(['m13', 'm14']);
  });

  it('a server that always answers with an empty replay is not asked without end', async () => {
    const { world, socket } = await online();
    socket.push(frameOf(messageEvent(13, 12)));
    let answered = 0;
    for (let i = 0; i < 60; i++) {
      await world.clock.advance(500);
      for (; answered < socket.of('resume').length; answered++) {
        socket.push({ type: 'replay', ref: 0, channelId: 'general', epoch: 7, fromSeq: 10, throughSeq: 10, events: [], more: false });
      }
    }
    expect(answered).toBeLessThanOrEqual(4);
  });

  it('too many held events release the channel, and the hole is filled by REST', async () => {
    const made = await opened(10);
    const { world, client } = made;
    world.route = historyOf(20);
    for (let i = 0; i <= MAX_HELD; i++) world.socket.push(frameOf(messageEvent(21 + i, 20 + i)));
    await settle();
    expect(client.channel('general')!.complete).toBe(true);
    expect(contents(client)).toEqual(range(1, 21 + MAX_HELD).map((seq) => `m${seq}`));
    expect(world.called('/events').map((call) => call.query.get('after'))).toEqual(['10']);
  });
});

describe('after a lost connection', () => {
  it('hello carries the cursor, and the replay comes before anything else is shown', async () => {
    const { world, client, socket } = await online();
    socket.push(frameOf(messageEvent(11, 10)));
    socket.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, readyOf([{ id: 'general', headSeq: 13 }]));
    expect(next.last('hello').cursors).toEqual([{ channelId: 'general', epoch: 7, seq: 11 }]);
    expect(client.channel('general')?.complete).toBe(false);
    const events = [messageEvent(12, 11), messageEvent(13, 12)];
    next.push({ type: 'replay', ref: 0, channelId: 'general', epoch: 7, fromSeq: 11, throughSeq: 13, events, more: false });
    next.push(frameOf(messageEvent(14, 13)));
    await settle();
    expect(contents(client)).toEqual(['m11', 'm12', 'm13', 'm14']);
    expect(next.of('resume')).toHaveLength(0);
  });

  it('a replay that does not come is asked for: a lost last event is found, too', async () => {
    const { world, socket } = await online();
    socket.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, readyOf([{ id: 'general', headSeq: 11 }]));
    await world.clock.advance(10_000);
    expect(next.last('resume').cursors).toEqual([{ channelId: 'general', epoch: 7, seq: 10 }]);
  });

  it('more cursors than fit in hello follow in resume frames', async () => {
    const { world, client } = harness();
    client.connect();
    const states = (headSeq: number) => readyOf(range(1, 450).map((i) => ({ id: `c${i}`, headSeq })));
    const first = await greet(world, states(5));
    first.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, states(6));
    const lengths = [next.last('hello').cursors.length, ...next.of('resume').map((frame) => frame.cursors.length)];
    expect(lengths).toEqual([200, 200, 50]);
    const ids = [next.last('hello'), ...next.of('resume')].flatMap((frame) => frame.cursors.map((cursor) => cursor.channelId));
    expect(new Set(ids).size).toBe(450);
  });

  it('a channel that is gone is gone, with what waited for it', async () => {
    const { world, client, socket } = await online();
    client.send('general', 'hi');
    socket.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, readyOf([{ id: 'other', headSeq: 1 }]));
    expect(client.channels.map((channel) => channel.id)).toEqual(['other']);
    expect(next.of('send')).toHaveLength(0);
  });

  it('another epoch: history is asked for what lies between', async () => {
    const { world, client } = await opened(10);
    world.route = historyOf(12);
    world.socket.shut(1006);
    await world.clock.advance(500);
    const next = await greet(world, readyOf([{ id: 'general', headSeq: 1001, epoch: 8 }]));
    next.push({ type: 'gap', ref: 0, channelId: 'general', epoch: 8, fromSeq: 10, headSeq: 1001, reason: 'epoch_changed' });
    next.push(frameOf(messageEvent(1002, 1001)));
    await settle();
    expect(contents(client).slice(-3)).toEqual(['m11', 'm12', 'm1002']);
    next.shut(1006);
    await world.clock.advance(1000);
    world.socket.open();
    expect(world.socket.last('hello').cursors).toEqual([{ channelId: 'general', epoch: 8, seq: 1002 }]);
  });
});

describe('gap', () => {
  const gap = (headSeq: number, fromSeq = 10) =>
    ({ type: 'gap', ref: 0, channelId: 'general', epoch: 7, fromSeq, headSeq, reason: 'too_long' });

  it('is loaded page by page, while live events are shown', async () => {
    const { world, client } = await opened(10);
    world.route = historyOf(400);
    world.socket.push(gap(400), frameOf(messageEvent(401, 400)));
    expect(contents(client).at(-1)).toBe('m401');
    await settle();
    expect(contents(client)).toEqual(range(1, 401).map((seq) => `m${seq}`));
    expect(world.called('/events').map((call) => call.query.get('after'))).toEqual(['10', '210']);
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('that is very long is not loaded: the channel starts again at its latest page', async () => {
    const { world, client } = await opened(10);
    world.route = historyOf(5000);
    world.socket.push(gap(5000), frameOf(messageEvent(5001, 5000)));
    await world.clock.advance(5_000);
    expect(contents(client)).toEqual(range(4951, 5001).map((seq) => `m${seq}`));
    expect(client.channel('general')).toMatchObject({ complete: true, hasBefore: true });
    expect(world.called('/events')).toHaveLength(5);
  });

  it('while history is away: live goes on, and it is filled later', async () => {
    const { world, client } = await opened(10);
    const back = historyOf(20);
    world.route = () => ({ status: 503, body: { code: 'unavailable', detail: 'no database' } });
    world.socket.push(gap(20), frameOf(messageEvent(21, 20)));
    await world.clock.advance(4_000);
    expect(contents(client).at(-1)).toBe('m21');
    expect(client.channel('general')?.complete).toBe(false);
    expect(world.socket.last('resume').cursors[0]).toMatchObject({ seq: 10 });
    world.route = back;
    await world.clock.advance(10_000);
    expect(contents(client)).toEqual(range(1, 21).map((seq) => `m${seq}`));
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('history does not know the cursor: the latest page takes the place', async () => {
    const { world, client } = await opened(10);
    const route = historyOf(300);
    world.route = (call) => (call.path.endsWith('/events') ? { status: 400, body: { code: 'bad_request' } } : route(call));
    world.socket.push(gap(300));
    await settle();
    expect(contents(client)).toEqual(range(251, 300).map((seq) => `m${seq}`));
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('of a channel that nobody has opened costs nothing until it is opened', async () => {
    const { world, client, socket } = await online();
    world.route = historyOf(100);
    socket.push(gap(100), frameOf(messageEvent(101, 100)));
    await settle();
    expect(world.calls).toHaveLength(0);
    expect(client.channel('general')?.complete).toBe(true);
    world.route = historyOf(101);
    await client.open('general');
    expect(contents(client)).toEqual(range(52, 101).map((seq) => `m${seq}`));
  });

  it('with a cursor ahead of the log: what the servers lost is forgotten, what comes in its place is shown', async () => {
    const { world, client } = await opened(10);
    const { socket } = world;
    socket.push(frameOf(messageEvent(11, 10, 'lost')), frameOf(editEvent(12, 11, 3, 'lost edit')));
    socket.push({ ...gap(10, 12), reason: 'cursor_ahead' });
    socket.push(frameOf(messageEvent(11, 10, 'another', 'bob', 'other')));
    await settle();
    expect(contents(client).at(-1)).toBe('another');
    expect(contents(client)).toHaveLength(11);
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('edits within it reach messages that are here, once', async () => {
    const { world, client } = await opened(10);
    const events = [editEvent(11, 10, 3, 'edited'), deleteEvent(12, 11, 4)];
    world.route = () => ({ body: { events, fromSeq: 10, throughSeq: 12, more: false, epoch: 7 } });
    world.socket.push(gap(12), frameOf(editEvent(13, 12, 3, 'edited again')));
    await settle();
    expect(contents(client).slice(2, 4)).toEqual(['edited again', '']);
  });
});

describe('opening a channel', () => {
  it('loads the latest page, and what came live meanwhile is not doubled', async () => {
    const { world, client, socket } = await online();
    world.route = historyOf(11);
    socket.push(frameOf(messageEvent(11, 10)), frameOf(messageEvent(12, 11)));
    await client.open('general');
    expect(contents(client)).toEqual(range(1, 12).map((seq) => `m${seq}`));
    expect(client.channel('general')).toMatchObject({ history: 'ready', hasBefore: false, complete: true });
  });

  it('history lags: live ones stay, and the part between is asked of the gateway', async () => {
    const { world, client, socket } = await online();
    world.route = historyOf(7);
    socket.push(frameOf(messageEvent(11, 10)));
    await client.open('general');
    await settle();
    expect(contents(client)).toEqual([...range(1, 7), 11].map((seq) => `m${seq}`));
    expect(client.channel('general')?.complete).toBe(false);
    expect(socket.last('resume').cursors).toEqual([{ channelId: 'general', epoch: 7, seq: 7 }]);
    const events = range(8, 11).map((seq) => messageEvent(seq, seq - 1));
    socket.push({ type: 'replay', ref: 0, channelId: 'general', epoch: 7, fromSeq: 7, throughSeq: 11, events, more: false });
    await settle();
    expect(contents(client)).toEqual(range(1, 11).map((seq) => `m${seq}`));
    expect(client.channel('general')?.complete).toBe(true);
  });

  it('history is away: says so, and loads by itself when it is back', async () => {
    const { world, client } = await online();
    await client.open('general');
    expect(client.channel('general')).toMatchObject({ history: 'unavailable', historyError: { code: 'unavailable', status: 503 } });
    world.route = historyOf(10);
    await world.clock.advance(1_000);
    expect(client.channel('general')).toMatchObject({ history: 'ready' });
    expect(client.channel('general')?.historyError).toBeUndefined();
    expect(contents(client)).toHaveLength(10);
  });

  it('is refused: is not tried again', async () => {
    const { world, client } = await online();
    world.route = () => ({ status: 403, body: { code: 'not_a_member', detail: 'no' } });
    await client.open('general');
    await world.clock.advance(20_000);
    expect(world.called('/messages')).toHaveLength(1);
  });
});

describe('older pages', () => {
  it('come before the first message, until there are none', async () => {
    const { world, client } = await opened(120);
    expect(await client.loadBefore('general')).toBe(50);
    expect(await client.loadBefore('general', 15)).toBe(15);
    expect(contents(client)).toEqual(range(6, 120).map((seq) => `m${seq}`));
    expect(await client.loadBefore('general')).toBe(5);
    expect(client.channel('general')?.hasBefore).toBe(false);
    expect(await client.loadBefore('general')).toBe(0);
    expect(world.called('/messages').map((call) => call.query.get('before'))).toEqual([null, '71', '21', '6']);
  });

  it('are loaded one at a time', async () => {
    const { world, client } = await opened(120);
    const both = [client.loadBefore('general'), client.loadBefore('general')];
    expect(client.channel('general')?.loadingBefore).toBe(true);
    expect(await Promise.all(both)).toEqual([50, 0]);
    expect(world.called('/messages')).toHaveLength(2);
  });

  it('have the edits that came live since, and keep deleted ones deleted', async () => {
    const { world, client } = await opened(100);
    world.socket.push(frameOf(editEvent(101, 100, 30, 'edited')), frameOf(deleteEvent(102, 101, 31)));
    await client.loadBefore('general');
    expect(contents(client)[29]).toBe('edited');
    expect(client.channel('general')?.messages[30]?.deleted).toBe(true);
  });

  it('a failure is told, and leaves things as they were', async () => {
    const { world, client } = await opened(120);
    world.route = () => ({ status: 503, body: { code: 'unavailable', detail: 'no database' } });
    await expect(client.loadBefore('general')).rejects.toMatchObject({ code: 'unavailable', message: 'no database' });
    expect(client.channel('general')).toMatchObject({ hasBefore: true, loadingBefore: false, history: 'ready' });
    expect(contents(client)).toHaveLength(50);
  });

  it('can be forgotten and loaded again', async () => {
    const { client } = await opened(120);
    await client.loadBefore('general');
    client.trim('general', 20);
    expect(contents(client)).toEqual(range(101, 120).map((seq) => `m${seq}`));
    expect(client.channel('general')?.hasBefore).toBe(true);
    await client.loadBefore('general');
    expect(contents(client)).toEqual(range(51, 120).map((seq) => `m${seq}`));
  });
});

describe('channels', () => {
  it('come and go with membership', async () => {
    const { client, socket } = await online();
    const lists: string[][] = [];
    client.on('channels', (views) => lists.push(views.map((view) => view.id)));
    const state = { channel: { ...client.channel('general')!.info, id: 'new', name: 'new' }, role: 'member', epoch: 7, headSeq: 3 };
    socket.push({ type: 'channelAdded', ref: 0, state });
    socket.push(frameOf({ ...messageEvent(4, 3), channelId: 'new' }));
    expect(client.channel('new')?.messages).toHaveLength(1);
    socket.push({ type: 'channelRemoved', ref: 0, channelId: 'new', removed: true });
    expect(client.channel('new')).toBeUndefined();
    socket.push(frameOf({ ...messageEvent(5, 4), channelId: 'new' }));
    expect(lists).toEqual([['general', 'new'], ['general']]);
  });

  it('that are added while they are known ask for what is missing at once', async () => {
    const { client, socket } = await online();
    const state = { channel: client.channel('general')!.info, role: 'owner', epoch: 7, headSeq: 12 };
    socket.push({ type: 'channelAdded', ref: 0, state });
    await settle();
    expect(socket.last('resume').cursors).toEqual([{ channelId: 'general', epoch: 7, seq: 10 }]);
    expect(client.channel('general')?.role).toBe('owner');
  });

  it('take a newer description, not an older one', async () => {
    const { client, socket } = await online();
    const change = (seq: number, version: number, name: string) => {
      const channel = { ...client.channel('general')!.info, version, name };
      const head = { channelId: 'general', seq, prev: seq - 1, id: 'x', actorId: 'ada' };
      socket.push({ type: 'event', ref: 0, ...head, channelChanged: { channel } });
    };
    change(11, 5, 'five');
    change(12, 4, 'four');
    expect(client.channel('general')?.info.name).toBe('five');
  });

  it('tell their changes once per turn', async () => {
    const { client, socket } = await online();
    let told = 0;
    client.on('channel', () => told++);
    socket.push(...range(11, 30).map((seq) => frameOf(messageEvent(seq, seq - 1))));
    await settle();
    expect(told).toBe(1);
  });

  it('that nobody opened keep a bounded number of messages', async () => {
    const { world, client, socket } = await online();
    socket.push(...range(11, 1010).map((seq) => frameOf(messageEvent(seq, seq - 1))));
    expect(contents(client).length).toBeLessThan(400);
    world.route = historyOf(700);
    await client.open('general');
    await settle();
    expect(client.channel('general')?.complete).toBe(false);
  });
});

describe('REST', () => {
  it('gets a fresh token once when the server refuses one', async () => {
    const { world, client, asked } = await online();
    world.route = ({ token }) => (token === 't1' ? { status: 401, body: {} } : { body: { channels: [] } });
    await client.rest.channels();
    expect(asked).toEqual(['connect', 'refused']);
    world.route = () => ({ status: 401, body: { code: 'unauthenticated', detail: 'no' } });
    await expect(client.rest.channels()).rejects.toMatchObject({ code: 'unauthenticated', status: 401 });
    expect(world.called('/api/channels')).toHaveLength(4);
  });

  it('reads a proxy answer that is no problem document by its status', async () => {
    const { world, client } = await online();
    world.route = () => ({ status: 502, body: '<html>' });
    await expect(client.rest.messages('general')).rejects.toMatchObject({ code: 'unavailable', status: 502 });
  });

  it('gives up a request without an answer', async () => {
    const world = harness().world;
    const never = (_url: string, init: RequestInit) =>
      new Promise<Response>((_, reject) => init.signal!.addEventListener('abort', () => reject(new Error('aborted'))));
    const { client } = harness({}, Object.assign(world, { env: { ...world.env, fetch: never } }));
    const asked = client.rest.channels();
    const failed = expect(asked).rejects.toMatchObject({ code: 'timeout' });
    await world.clock.advance(15_000);
    await failed;
  });
});
