import { backoff, RESEND } from './backoff.js';
import type { Env, KeyValueStorage } from './env.js';
import { asError, isTemporary, ParleyError } from './errors.js';
import type { FileDescriptor } from './upload.js';
import type { Ack, ClientBody, MessageType, ServerFrame } from './wire.js';

/** Items that may wait, over all channels. */
export const MAX_ITEMS = 500;

/** So often an item is tried again after `internal`: a bug of the service, after which it may have been stored. */
const MAX_INTERNAL = 3;

/** So often other descriptors of its files are asked for, where those that an item has are too old: it waited for long. */
const MAX_DESCRIBED = 3;
const EXPIRED = /attachments\[\d+\] has expired/;

/** One mutation on its way. It keeps its id until it is acknowledged or discarded. */
export interface OutboxItem {
  readonly kind: 'send' | 'edit' | 'delete';
  /** UUID of the mutation; of a message, its id. */
  readonly id: string;
  readonly channelId: string;
  /** Sequence of the message to edit or delete; 0 for a new one. */
  readonly targetSeq: number;
  readonly content: string;
  readonly mentions: readonly string[];
  readonly messageType: MessageType;
  readonly threadId: string;
  readonly replyTo: string;
  /** Files that were uploaded for it. Not there in what an older version has stored. */
  readonly attachments?: readonly FileDescriptor[];
  /** When it was made, in milliseconds since 1970 by this device's clock. */
  readonly createdAt: number;
  readonly status: 'sending' | 'failed';
  readonly error?: { code: string; message: string };
  /** It may have reached the server. */
  readonly sentBefore: boolean;
}

export interface OutboxHooks {
  request: (body: ClientBody) => Promise<ServerFrame>;
  /** An item of this channel came, went or changed. */
  changed: (channelId: string) => void;
  /** An item was stored. It has left the outbox. */
  acked: (item: OutboxItem, ack: Ack) => void;
  failed: (item: OutboxItem, error: ParleyError) => void;
  /** Another descriptor of a file. */
  describe: (fileId: string, channelId: string) => Promise<FileDescriptor>;
  /** The server said that the token is no longer good. */
  tokenRefused: () => void;
}

interface Progress {
  firstSentAt: number | undefined;
  attempts: number;
  described: number;
}

/**
 * What was not acknowledged yet. One item per channel is under way at a time, so that they are stored in the order in which
 * they were made. After a lost connection the same item goes out under the same id, marked as a retry.
 */
export class Outbox {
  readonly #env: Env;
  readonly #hooks: OutboxHooks;
  readonly #progress = new Map<string, Progress>();
  /** Channels with an item under way, or waiting for its time. */
  readonly #busy = new Map<string, unknown>();
  #items: OutboxItem[] = [];
  #online = false;
  #storage: KeyValueStorage | undefined;
  #storageKey = '';

  constructor(env: Env, hooks: OutboxHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /** Keeps the items under `key` from now on, and takes in what stands there. */
  persist(storage: KeyValueStorage, key: string): void {
    this.#storage = storage;
    this.#storageKey = key;
    const known = new Set(this.#items.map((item) => item.id));
    const restored = readItems(storage, key).filter((item) => !known.has(item.id));
    this.#items = [...restored, ...this.#items];
    this.#save();
    for (const channelId of new Set(restored.map((item) => item.channelId))) this.#touch(channelId);
  }

  items(channelId: string): readonly OutboxItem[] {
    return this.#items.filter((item) => item.channelId === channelId);
  }

  find(id: string): OutboxItem | undefined {
    return this.#items.find((item) => item.id === id);
  }

  /** Throws `unavailable` when too many items wait. */
  add(item: OutboxItem): void {
    if (this.#items.length >= MAX_ITEMS) throw new ParleyError('unavailable', 'too many messages wait to be sent');
    this.#items.push(item);
    this.#save();
    this.#touch(item.channelId);
  }

  /** Tries a failed item again, under the same id, behind those that wait. */
  retry(id: string): void {
    const item = this.find(id);
    if (item?.status !== 'failed') return;
    this.#items = this.#items.filter((other) => other.id !== id);
    const { error: _, ...rest } = item;
    this.#progressOf(item).described = 0;
    this.#items.push({ ...rest, status: 'sending' });
    this.#save();
    this.#touch(item.channelId);
  }

  /** Forgets an item that failed, or that was never sent. Returns false when it is under way. */
  discard(id: string): boolean {
    const item = this.find(id);
    if (!item || (item.status === 'sending' && item.sentBefore)) return false;
    this.#remove(item);
    return true;
  }

  /** Forgets all items of a channel that is gone. */
  drop(channelId: string): void {
    for (const item of this.items(channelId)) this.#remove(item);
  }

  /** There is a session: everything that waits goes out. */
  online(): void {
    this.#online = true;
    for (const channelId of new Set(this.#items.map((item) => item.channelId))) this.#pump(channelId);
  }

  /** The session is gone: what was under way is undecided. */
  offline(): void {
    this.#online = false;
    for (const timer of this.#busy.values()) this.#env.clock.clearTimeout(timer);
    this.#busy.clear();
  }

  #touch(channelId: string): void {
    this.#hooks.changed(channelId);
    this.#pump(channelId);
  }

  #pump(channelId: string): void {
    if (!this.#online || this.#busy.has(channelId)) return;
    const item = this.#items.find((other) => other.channelId === channelId && other.status === 'sending');
    if (!item) return;
    this.#busy.set(channelId, undefined);
    const body = this.#frame(item);
    this.#update(item, { sentBefore: true });
    this.#hooks.request(body).then(
      (answer) => this.#onAnswer(item, answer),
      (thrown: unknown) => this.#onError(item, asError(thrown)),
    );
  }

  #frame(item: OutboxItem): ClientBody {
    const progress = this.#progressOf(item);
    const now = this.#env.clock.mono();
    const retry = item.sentBefore;
    const age = retry && progress.firstSentAt !== undefined ? Math.max(1, Math.round(now - progress.firstSentAt)) : 0;
    const retryAgeMs = Math.min(age, 0xffff_ffff);
    progress.firstSentAt ??= retry ? undefined : now;
    const { id, channelId, targetSeq, content, threadId, replyTo } = item;
    const mentions = [...item.mentions];
    if (item.kind === 'edit') return { type: 'edit', channelId, id, targetSeq, content, mentions, retry, retryAgeMs };
    if (item.kind === 'delete') return { type: 'delete', channelId, id, targetSeq, retry, retryAgeMs };
    const files = item.attachments?.length ? { attachments: item.attachments.map((each) => each.descriptor) } : {};
    const message = { id, content, type: item.messageType, threadId, replyTo, mentions, ...files };
    return { type: 'send', channelId, message, retry, retryAgeMs };
  }

  #onAnswer(item: OutboxItem, answer: ServerFrame): void {
    this.#busy.delete(item.channelId);
    if (answer.type === 'ack') {
      this.#remove(item, () => this.#hooks.acked(item, answer));
    } else {
      this.#onError(item, new ParleyError('protocol_error', `unexpected answer ${answer.type}`));
    }
  }

  #onError(item: OutboxItem, error: ParleyError): void {
    this.#busy.delete(item.channelId);
    if (error.code === 'connection_lost') return; // offline() follows, or has come
    const expired = error.code === 'bad_request' && EXPIRED.test(error.message);
    if (expired && this.#progressOf(item).described < MAX_DESCRIBED) return this.#describe(item);
    const refused = error.code === 'token_expired' || error.code === 'unauthenticated';
    if (refused) this.#hooks.tokenRefused();
    const again = error.code === 'internal' && this.#progressOf(item).attempts < MAX_INTERNAL;
    if (refused || again || isTemporary(error)) return this.#later(item, error);
    const { code, message } = error;
    this.#update(item, { status: 'failed', error: { code, message } });
    const failed = this.find(item.id);
    this.#touch(item.channelId);
    if (failed) this.#hooks.failed(failed, error);
  }

  /** It is not stored, and its descriptors are too old: goes on with others, under the same id. The items behind it wait with it. */
  #describe(item: OutboxItem): void {
    const { channelId, attachments = [] } = item;
    const mark = {};
    const mine = () => this.#busy.get(channelId) === mark; // else the connection was lost meanwhile
    this.#busy.set(channelId, mark);
    Promise.all(attachments.map((file) => this.#hooks.describe(file.attachment.id, channelId))).then(
      (described) => {
        this.#progressOf(item).described++; // while the service is away none was given, and that is no reason to give up
        this.#update(item, { attachments: described });
        if (!mine()) return;
        this.#busy.delete(channelId);
        this.#pump(channelId);
      },
      (thrown: unknown) => {
        if (mine()) this.#onError(item, asError(thrown));
      },
    );
  }

  /** The same item again after the time that the server named; the items behind it wait with it. */
  #later(item: OutboxItem, error: ParleyError): void {
    const progress = this.#progressOf(item);
    const random = this.#env.random();
    const named = error.retryMs * (1 + 0.2 * random);
    const delay = error.retryMs > 0 ? named : backoff(progress.attempts, RESEND, random);
    progress.attempts++;
    const { channelId } = item;
    const run = () => {
      this.#busy.delete(channelId);
      this.#pump(channelId);
    };
    this.#busy.set(channelId, this.#env.clock.setTimeout(run, delay));
  }

  #progressOf(item: OutboxItem): Progress {
    const known = this.#progress.get(item.id) ?? { firstSentAt: undefined, attempts: 0, described: 0 };
    this.#progress.set(item.id, known);
    return known;
  }

  #update(item: OutboxItem, change: Partial<OutboxItem>): void {
    const index = this.#items.findIndex((other) => other.id === item.id);
    if (index < 0) return;
    this.#items[index] = { ...this.#items[index]!, ...change };
    this.#save();
  }

  #remove(item: OutboxItem, before?: () => void): void {
    this.#items = this.#items.filter((other) => other.id !== item.id);
    this.#progress.delete(item.id);
    this.#save();
    before?.();
    this.#touch(item.channelId);
  }

  #save(): void {
    if (!this.#storage) return;
    try {
      if (this.#items.length === 0) this.#storage.removeItem(this.#storageKey);
      else this.#storage.setItem(this.#storageKey, JSON.stringify(this.#items));
    } catch {
      // full or forbidden: the messages stay in memory
    }
  }
}

function readItems(storage: KeyValueStorage, key: string): OutboxItem[] {
  try {
    const value: unknown = JSON.parse(storage.getItem(key) ?? '[]');
    return Array.isArray(value) ? value.filter(isItem) : [];
  } catch {
    return [];
  }
}

function isItem(value: unknown): value is OutboxItem {
  const item = value as Partial<OutboxItem> | null;
  return typeof item?.id === 'string' && typeof item.channelId === 'string' && typeof item.content === 'string'
    && (item.kind === 'send' || item.kind === 'edit' || item.kind === 'delete') && Array.isArray(item.mentions)
    && (item.status === 'sending' || item.status === 'failed');
}
