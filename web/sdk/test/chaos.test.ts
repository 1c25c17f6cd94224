import { describe, expect, it } from 'vitest';
import type { Cursor, WireEvent, WireMessage } from '../src/wire.js';
import { deleteEvent, editEvent, frameOf, messageEvent, readyOf, type Call, type FakeSocket, type FakeWorld, type Sent } from './fakes.js';
import { harness } from './harness.js';

/** A small pseudo-random generator (mulberry32): each seed is one story, always the same. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A gateway and a history that lose, double and refuse things, over a log that never does. */
class Faulty {
  readonly log: WireEvent[] = [];
  faults = true;
  #epoch = 7;
  #base = 100;
  /** History holds the log up to this index. */
  #ingested = 0;
  #live: FakeSocket | undefined;
  readonly #random: () => number;

  constructor(world: FakeWorld, random: () => number) {
    this.#random = random;
    world.route = (call) => this.#rest(call);
    world.onSocket = (socket) => {
      socket.answersPings = true;
      socket.onSent = (frame) => queueMicrotask(() => this.#answer(socket, frame));
      queueMicrotask(() => (this.chance(0.2) ? socket.shut(1006) : socket.open()));
    };
  }

  chance(p: number): boolean {
    return this.faults && this.#random() < p;
  }

  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  get head(): number {
    return this.log.at(-1)?.seq ?? 0;
  }

  /** The next event stands at a sequence that leaves room for other channels. */
  append(make: (seq: number, prev: number) => WireEvent): WireEvent {
    const event = make(Math.max(this.head, this.#base) + 1 + this.pick(5), this.head);
    this.log.push(event);
    const socket = this.#live;
    if (!socket || this.chance(0.15)) return event;
    const shown = this.chance(0.1) ? { ...event, prev: 0 } : event;
    socket.push(frameOf(shown));
    if (this.chance(0.1)) socket.push(frameOf(event));
    return event;
  }

  ingest(): void {
    this.#ingested = this.log.length;
  }

  /** The stream is made anew: its sequences begin far above. */
  newEpoch(): void {
    this.#epoch++;
    this.#base = this.head + 100_000;
    this.cut();
  }

  cut(): void {
    this.#live?.shut([1006, 4008, 4010, 1012][this.pick(4)]!);
    this.#live = undefined;
  }

  /** What a client that saw everything shows: content by sequence; deleted ones are empty. */
  truth(): Map<number, string> {
    const shown = new Map<number, string>();
    for (const { seq, message, messageEdited, messageDeleted } of this.log) {
      if (message) shown.set(seq, message.content);
      if (messageEdited && shown.get(messageEdited.targetSeq) !== '') shown.set(messageEdited.targetSeq, messageEdited.content);
      if (messageDeleted) shown.set(messageDeleted.targetSeq, '');
    }
    return shown;
  }

  #answer(socket: FakeSocket, frame: Sent): void {
    if (socket.closedBy) return;
    if (frame.type === 'hello') {
      socket.push({ ...readyOf([{ id: 'general', headSeq: this.head, epoch: this.#epoch }]), ref: frame.ref });
      this.#live = socket;
      for (const cursor of frame.cursors) this.#catchUp(socket, cursor);
    } else if (frame.type === 'resume') {
      socket.push({ type: 'ack', ref: frame.ref, id: '', channelId: '', seq: 0, duplicate: false });
      for (const cursor of frame.cursors) this.#catchUp(socket, cursor);
    } else if (frame.type === 'send') {
      this.#store(socket, frame);
    }
  }

  #catchUp(socket: FakeSocket, cursor: Cursor): void {
    if (this.chance(0.2) || cursor.seq >= this.head) return;
    const { channelId } = cursor;
    const head = { ref: 0, channelId, epoch: this.#epoch, fromSeq: cursor.seq };
    if (cursor.epoch !== this.#epoch || this.chance(0.3)) {
      return socket.push({ ...head, type: 'gap', headSeq: this.head, reason: 'unavailable' });
    }
    const missing = this.log.filter((event) => event.seq > cursor.seq);
    const half = this.chance(0.4) ? Math.floor(missing.length / 2) : 0;
    const middle = half > 0 ? missing[half - 1]!.seq : cursor.seq;
    if (half > 0) socket.push({ ...head, type: 'replay', throughSeq: middle, events: missing.slice(0, half), more: true });
    socket.push({ ...head, type: 'replay', fromSeq: middle, throughSeq: this.head, events: missing.slice(half), more: false });
  }

  #store(socket: FakeSocket, frame: Sent & { type: 'send' }): void {
    if (this.chance(0.2)) {
      return socket.push({ type: 'error', ref: frame.ref, code: 'unavailable', message: '', retryMs: this.pick(2) * 700 });
    }
    const { id, content } = frame.message;
    const known = this.log.find((event) => event.id === id);
    const event = known ?? this.append((seq, prev) => messageEvent(seq, prev, content, 'me', id));
    if (this.chance(0.2)) return; // the answer is lost
    const { channelId, seq, createdAt } = event;
    socket.push({ type: 'ack', ref: frame.ref, id, channelId, seq, createdAt, duplicate: known !== undefined });
  }

  #rest({ path, query }: Call): { status?: number; body: unknown } {
    if (this.chance(0.3)) return { status: 503, body: { code: 'unavailable' } };
    const events = this.log.slice(0, this.#ingested);
    const through = events.at(-1)?.seq ?? 0;
    if (path.endsWith('/events')) {
      const from = Number(query.get('after'));
      const part = events.filter((event) => event.seq > from).slice(0, 7);
      const last = part.at(-1)?.seq ?? from;
      return { body: { events: part, fromSeq: from, throughSeq: last, more: last < through, epoch: this.#epoch } };
    }
    const messages = this.#applied(events).filter((each) => each.seq < Number(query.get('before') ?? Infinity));
    const page = messages.slice(-10);
    const place = { hasBefore: messages.length > 10, hasAfter: false };
    return { body: { messages: page, completeThroughSeq: through, stateSeq: through, ...place } };
  }

  #applied(events: WireEvent[]): WireMessage[] {
    const bySeq = new Map<number, WireMessage>();
    for (const { seq, message, messageEdited, messageDeleted } of events) {
      if (message) bySeq.set(seq, { ...message, seq });
      const edited = messageEdited && bySeq.get(messageEdited.targetSeq);
      if (edited && !edited.deleted) bySeq.set(edited.seq, { ...edited, content: messageEdited.content });
      const deleted = messageDeleted && bySeq.get(messageDeleted.targetSeq);
      if (deleted) bySeq.set(deleted.seq, { ...deleted, content: '', deleted: true });
    }
    return [...bySeq.values()];
  }
}

async function story(seed: number) {
  const random = generator(seed);
  const { client, world } = harness();
  const server = new Faulty(world, random);
  for (let i = 0; i < 15; i++) server.append((seq, prev) => messageEvent(seq, prev));
  server.ingest();
  client.connect();
  await world.clock.advance(5_000);
  const sent: string[] = [];
  for (let step = 0; step < 60; step++) {
    const channel = client.channel('general');
    const targets = [...server.truth().keys()];
    const target = targets[server.pick(targets.length)]!;
    const dice = random();
    if (channel && channel.history === 'none') void client.open('general');
    if (dice < 0.4) for (let i = server.pick(6); i >= 0; i--) server.append((seq, prev) => messageEvent(seq, prev));
    else if (dice < 0.5) server.append((seq, prev) => editEvent(seq, prev, target, `edited ${seq}`));
    else if (dice < 0.55) server.append((seq, prev) => deleteEvent(seq, prev, target));
    else if (dice < 0.75 && channel) sent.push(client.send('general', `mine ${sent.length}`));
    else if (dice < 0.82) server.cut();
    else if (dice < 0.84) server.newEpoch();
    else if (dice < 0.92) server.ingest();
    else if (channel) await Promise.race([client.loadBefore('general').catch(() => 0), world.clock.advance(100)]);
    await world.clock.advance(server.pick(3) * 900);
  }
  server.faults = false;
  server.ingest();
  await world.clock.advance(60_000);
  server.ingest();
  server.append((seq, prev) => messageEvent(seq, prev, 'the last'));
  server.ingest();
  await world.clock.advance(120_000);
  return { client, server, sent };
}

describe('whatever is lost, doubled, late or refused', () => {
  const seeds = Array.from({ length: 150 }, (_, i) => i + 1);

  it.each(seeds)('in the end everything is there, once and in order (story %i)', async (seed) => {
    const { client, server, sent } = await story(seed);
    const channel = client.channel('general')!;
    expect(channel).toMatchObject({ complete: true, history: 'ready' });
    const shown = channel.messages.map(({ seq, content }) => [seq, content]);
    const first = channel.messages[0]!.seq;
    expect(shown).toEqual([...server.truth()].filter(([seq]) => seq >= first));
    expect(channel.hasBefore).toBe(first > [...server.truth().keys()][0]!);
    const stored = server.log.filter((event) => event.actorId === 'me').map((event) => event.id);
    expect(stored).toEqual(sent);
    client.close();
  });
});
