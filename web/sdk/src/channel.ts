import { Chain } from './chain.js';
import type { ParleyError } from './errors.js';
import type { OutboxItem } from './outbox.js';
import { ChannelStore, keyOf, type StoredMessage } from './store.js';
import type { Channel, ChannelState, Role } from './wire.js';

/** Messages that are kept of a channel that was never opened. */
const KEEP_UNOPENED = 200;

/** Where one's own mutation stands. */
export interface Progress {
  readonly status: 'sending' | 'failed';
  /** UUID of the mutation, for `retry` and `discard`. */
  readonly id: string;
  /** Why it failed. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** A message as a view shows it. */
export interface Message extends StoredMessage {
  /** Sent by this user. */
  readonly own: boolean;
  /** `sending`: not acknowledged. `sent`: stored by the server, safe. `failed`: see `progress.error`. */
  readonly status: 'sending' | 'sent' | 'failed';
  /** Set while `status` is not `sent`. `seq` is 0 then. */
  readonly progress?: Progress;
  /** An edit or deletion of one's own that is on its way or failed. `content` shows the text that was wanted. */
  readonly change?: Progress & { readonly kind: 'edit' | 'delete' };
}

/** How much of a channel's past is here. `unavailable`: history cannot be reached; it is tried again. */
export type HistoryState = 'none' | 'loading' | 'ready' | 'unavailable';

/** What a view sees of a channel. A new object after each change; `messages` is the same array while they are the same. */
export interface ChannelView {
  readonly id: string;
  readonly info: Channel;
  readonly role: Role;
  /** Ascending; one's own that are not stored yet stand at the end. */
  readonly messages: readonly Message[];
  readonly history: HistoryState;
  /** There are messages before the first one. */
  readonly hasBefore: boolean;
  /** A page before the first message is being loaded. */
  readonly loadingBefore: boolean;
  /** Why the last attempt to load history failed. */
  readonly historyError?: ParleyError;
  /** Nothing is missing between the first message and now. False while a break or a hole is being repaired. */
  readonly complete: boolean;
  /** The last sequence that is known to exist in the channel. */
  readonly headSeq: number;
}

/** Who the user is. */
export interface Self {
  readonly id: string;
  readonly name: string;
}

/** The state of one channel. It holds data; the client, the history loader and the repairs act on it. */
export class ChannelRecord {
  info: Channel;
  role: Role;
  readonly chain: Chain;
  readonly store = new ChannelStore();
  history: HistoryState = 'none';
  historyError: ParleyError | undefined;
  hasBefore = false;
  loadingBefore = false;
  /** The view wants this channel's history. */
  opened = false;
  /** Everything above it was applied live; history has to reach up to here. */
  liveSince: number;
  #view: ChannelView | undefined;
  #messages: { stored: readonly StoredMessage[]; items: readonly OutboxItem[]; list: readonly Message[] } | undefined;
  readonly #shown = new WeakMap<StoredMessage, Message>();

  constructor(state: ChannelState) {
    this.info = state.channel;
    this.role = state.role;
    this.chain = new Chain(state.epoch, state.headSeq);
    this.liveSince = state.headSeq;
  }

  get id(): string {
    return this.info.id;
  }

  /** The sequence of the first message that is here; 0: none. */
  get firstSeq(): number {
    return this.store.messages[0]?.seq ?? 0;
  }

  /** Nobody looks at this channel: its latest live messages are enough, the rest is loaded when it is opened. */
  shrinkUnopened(): void {
    const { messages } = this.store;
    if (this.opened || messages.length < 2 * KEEP_UNOPENED) return;
    const { seq } = messages[messages.length - KEEP_UNOPENED]!;
    this.store.dropBelow(seq);
    this.liveSince = Math.max(this.liveSince, seq - 1);
  }

  touch(): void {
    this.#view = undefined;
  }

  view(self: Self, items: readonly OutboxItem[]): ChannelView {
    this.#view ??= {
      id: this.id,
      info: this.info,
      role: this.role,
      messages: this.#list(self, items),
      history: this.history,
      hasBefore: this.hasBefore,
      loadingBefore: this.loadingBefore,
      complete: this.chain.complete,
      headSeq: this.chain.head,
      ...(this.historyError ? { historyError: this.historyError } : {}),
    };
    return this.#view;
  }

  #list(self: Self, items: readonly OutboxItem[]): readonly Message[] {
    const stored = this.store.messages;
    const known = this.#messages;
    if (known && known.stored === stored && sameItems(known.items, items)) return known.list;
    const changes = new Map(items.filter((item) => item.kind !== 'send').map((item) => [item.targetSeq, item]));
    const list = stored.map((message) => this.#show(message, self.id, changes.get(message.seq)));
    for (const item of items) {
      const key = keyOf(self.id, item.id);
      if (item.kind === 'send' && !this.store.has(key)) list.push(pending(item, self, key));
    }
    this.#messages = { stored, items, list };
    return list;
  }

  /** The same object for the same message, so that a view only renders what changed. */
  #show(message: StoredMessage, self: string, item: OutboxItem | undefined): Message {
    if (!item) {
      const known = this.#shown.get(message);
      if (known) return known;
    }
    const plain: Message = { ...message, own: message.senderId === self, status: 'sent' };
    if (item && !message.deleted) return withItem(plain, item);
    this.#shown.set(message, plain);
    return plain;
  }
}

function withItem(message: Message, item: OutboxItem): Message {
  const kind = item.kind === 'edit' ? 'edit' : 'delete';
  const content = kind === 'edit' ? item.content : message.content;
  return { ...message, content, change: { ...progressOf(item), kind } };
}

function progressOf(item: OutboxItem): Progress {
  return { status: item.status, id: item.id, ...(item.error ? { error: item.error } : {}) };
}

function pending(item: OutboxItem, self: Self, key: string): Message {
  return {
    key,
    id: item.id,
    channelId: item.channelId,
    senderId: self.id,
    senderName: self.name,
    content: item.content,
    type: item.messageType,
    threadId: item.threadId,
    replyTo: item.replyTo,
    mentions: item.mentions,
    attachments: item.attachments?.map((each) => each.attachment) ?? [],
    createdAt: item.createdAt,
    updatedAt: 0,
    seq: 0,
    deleted: false,
    stateSeq: 0,
    own: true,
    status: item.status,
    progress: progressOf(item),
  };
}

function sameItems(a: readonly OutboxItem[], b: readonly OutboxItem[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
