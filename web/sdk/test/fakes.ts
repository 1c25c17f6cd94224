import type { Clock, Env, KeyValueStorage, SocketLike } from '../src/env.js';
import type { ClientBody, WireEvent, WireMessage } from '../src/wire.js';

/** Lets everything that is due in this turn run: promises that wait for promises, too. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await Promise.resolve();
}

/** A clock that stands still until it is advanced. */
export class FakeClock implements Clock {
  #now = 0;
  /** What the wall clock shows at mono 0; a test may move it: sleep. */
  epoch = Date.UTC(2026, 0, 2, 3, 4, 5);
  #next = 1;
  readonly #timers = new Map<number, { at: number; run: () => void }>();

  wall = (): number => this.epoch + this.#now;
  mono = (): number => this.#now;

  setTimeout = (run: () => void, ms: number): unknown => {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + Math.max(0, ms), run });
    return id;
  };

  clearTimeout = (handle: unknown): void => void this.#timers.delete(handle as number);

  get pending(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= until).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].run();
      await settle();
    }
    this.#now = until;
    await settle();
  }
}

export type Sent = ClientBody & { ref: number };

/** The other end of a connection, in the hand of the test. */
export class FakeSocket implements SocketLike {
  binaryType = '';
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: Sent[] = [];
  closedBy: 'client' | 'server' | undefined;
  /** Answers pings by itself. */
  answersPings = false;
  /** Sees each frame as it is sent. */
  onSent: ((frame: Sent) => void) | undefined;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string): void {
    const frame = JSON.parse(data) as Sent;
    this.sent.push(frame);
    this.onSent?.(frame);
    if (this.answersPings && frame.type === 'ping') queueMicrotask(() => this.push({ type: 'pong', ref: frame.ref }));
  }

  close(): void {
    this.closedBy ??= 'client';
  }

  open(): void {
    this.onopen?.(undefined as never);
  }

  /** The server sends these frames in one WebSocket message. */
  push(...frames: object[]): void {
    this.onmessage?.({ data: frames.map((frame) => JSON.stringify(frame)).join('\n') });
  }

  raw(data: unknown): void {
    this.onmessage?.({ data });
  }

  shut(code: number, reason = ''): void {
    this.closedBy ??= 'server';
    this.onclose?.({ code, reason });
  }

  of<T extends Sent['type']>(type: T): (Sent & { type: T })[] {
    return this.sent.filter((frame): frame is Sent & { type: T } => frame.type === type);
  }

  last<T extends Sent['type']>(type: T): Sent & { type: T } {
    const frame = this.of(type).at(-1);
    if (!frame) throw new Error(`no ${type} was sent`);
    return frame;
  }
}

export class MemoryStorage implements KeyValueStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}

export interface Call {
  method: string;
  path: string;
  query: URLSearchParams;
  token: string;
  /** Read as JSON; undefined: none. */
  body?: unknown;
}

export type Route = (call: Call) => { status?: number; body?: unknown } | Promise<{ status?: number; body?: unknown }>;

/** An environment without an outside: sockets and REST answers are the test's. */
export class FakeWorld {
  readonly clock = new FakeClock();
  readonly sockets: FakeSocket[] = [];
  readonly calls: Call[] = [];
  route: Route = () => ({ status: 503, body: { code: 'unavailable' } });
  online = true;
  /** Sees each socket as it is made. */
  onSocket: ((socket: FakeSocket) => void) | undefined;
  random = 0;
  #signal: ((signal: 'online' | 'offline' | 'wake') => void) | undefined;
  #input: (() => void) | undefined;
  #byte = 0;
  readonly env: Env;

  constructor(more: Partial<Env> = {}) {
    this.env = {
      clock: this.clock,
      random: () => this.random,
      randomBytes: (count) => Uint8Array.from({ length: count }, () => this.#byte++ & 0xff),
      openSocket: (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        this.onSocket?.(socket);
        return socket;
      },
      fetch: (url, init) => this.#fetch(url, init),
      signals: {
        isOnline: () => this.online,
        listen: (on) => {
          this.#signal = on;
          return () => (this.#signal = undefined);
        },
        input: (on) => {
          this.#input = on;
          return () => (this.#input = undefined);
        },
      },
      ...more,
    };
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  signal(name: 'online' | 'offline' | 'wake'): void {
    this.#signal?.(name);
  }

  /** Somebody uses the device. */
  input(): void {
    this.#input?.();
  }

  get hearsInput(): boolean {
    return this.#input !== undefined;
  }

  called(part: string): Call[] {
    return this.calls.filter((call) => call.path.includes(part));
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname, searchParams } = new URL(url, 'http://test');
    const token = (init.headers as Record<string, string>).Authorization?.replace('Bearer ', '') ?? '';
    const body: unknown = typeof init.body === 'string' ? JSON.parse(init.body) : undefined;
    const call = { method: init.method ?? 'GET', path: pathname, query: searchParams, token, body };
    this.calls.push(call);
    const { status = 200, body: answer = {} } = await this.route(call);
    return new Response(status === 204 ? null : JSON.stringify(answer), { status });
  }
}

export const channelOf = (id: string, version = 1) => ({
  id,
  kind: 'open',
  name: id,
  topic: '',
  everyone: true,
  historyVisibility: 'all',
  archived: false,
  version,
  createdBy: 'system',
});

export function readyOf(channels: { id: string; headSeq: number; epoch?: number }[], more: object = {}): object {
  return {
    type: 'ready',
    ref: 1,
    userId: 'me',
    name: 'Me',
    sessionId: 's',
    channels: channels.map(({ id, headSeq, epoch = 7 }) => ({ channel: channelOf(id), role: 'member', epoch, headSeq })),
    heartbeatMs: 30_000,
    maxContentBytes: 16_384,
    ...more,
  };
}

export function wireMessage(seq: number, content = `m${seq}`, senderId = 'ada', id = `id-${seq}`): WireMessage {
  const base = { id, channelId: 'general', senderId, senderName: senderId, content, type: 'text' as const, threadId: '' };
  return { ...base, replyTo: '', mentions: [], createdAt: new Date(seq * 1000).toISOString(), seq, deleted: false };
}

export function messageEvent(seq: number, prev: number, content?: string, senderId?: string, id?: string): WireEvent {
  const message = wireMessage(seq, content, senderId, id);
  return { channelId: 'general', seq, prev, id: message.id, actorId: message.senderId, createdAt: message.createdAt!, message };
}

export function editEvent(seq: number, prev: number, targetSeq: number, content: string): WireEvent {
  const createdAt = new Date(seq * 1000).toISOString();
  const messageEdited = { targetSeq, targetId: `id-${targetSeq}`, content, mentions: [] };
  return { channelId: 'general', seq, prev, id: `e-${seq}`, actorId: 'ada', createdAt, messageEdited };
}

export function deleteEvent(seq: number, prev: number, targetSeq: number): WireEvent {
  const createdAt = new Date(seq * 1000).toISOString();
  const messageDeleted = { targetSeq, targetId: `id-${targetSeq}` };
  return { channelId: 'general', seq, prev, id: `d-${seq}`, actorId: 'ada', createdAt, messageDeleted };
}

export const frameOf = (event: WireEvent): object => ({ type: 'event', ref: 0, ...event });
