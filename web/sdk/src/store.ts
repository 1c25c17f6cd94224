import { timeOf, type Attachment, type MessageType, type WireEvent, type WireMessage } from './wire.js';

/** A message as the store keeps it. Objects are never changed, only replaced, so that a view can compare by identity. */
export interface StoredMessage {
  /** `senderId/id`: the identity of a message within its channel. */
  readonly key: string;
  readonly id: string;
  readonly channelId: string;
  readonly senderId: string;
  readonly senderName: string;
  readonly content: string;
  readonly type: MessageType;
  readonly threadId: string;
  readonly replyTo: string;
  readonly mentions: readonly string[];
  /** Files. */
  readonly attachments: readonly Attachment[];
  /** Milliseconds since 1970, by the server's clock. */
  readonly createdAt: number;
  /** The same for the last edit; 0: never edited. */
  readonly updatedAt: number;
  readonly seq: number;
  /** A tombstone: content, mentions and attachments are empty. */
  readonly deleted: boolean;
  /** Edits and deletions up to this sequence are in it. */
  readonly stateSeq: number;
}

/** An edit or deletion, kept so that it can meet a target that comes later, from an older page. */
interface Change {
  seq: number;
  at: number;
  deleted: boolean;
  content: string;
  mentions: readonly string[];
}

/** Changes that are kept per channel; the oldest go first, they are in every page by then. */
export const MAX_CHANGES = 1000;

export const keyOf = (senderId: string, id: string): string => `${senderId}/${id}`;

/**
 * The messages of one channel: each once, ascending by sequence, in one window that reaches up to the live end.
 * Everything may be applied twice and in any order.
 */
export class ChannelStore {
  readonly #bySeq = new Map<number, StoredMessage>();
  readonly #keys = new Map<string, number>();
  readonly #changes = new Map<number, Change>();
  /** What is left of removed messages, and of their edits: which is which is told by the deletion that follows. */
  readonly #removed = new Map<number, WireEvent>();
  /** Display names by user, as last seen: what is left of a deleted message has none. */
  readonly #names = new Map<string, string>();
  #sorted: readonly StoredMessage[] | undefined = [];

  /** All messages, ascending by sequence. The same array until something changes. */
  get messages(): readonly StoredMessage[] {
    this.#sorted ??= [...this.#bySeq.values()].sort((a, b) => a.seq - b.seq);
    return this.#sorted;
  }

  get size(): number {
    return this.#bySeq.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  bySeq(seq: number): StoredMessage | undefined {
    return this.#bySeq.get(seq);
  }

  /** Applies an event of the log. Returns the message when the event brought one that was not here. */
  apply(event: WireEvent): StoredMessage | undefined {
    const at = timeOf(event.createdAt);
    if (event.message) return this.#add(fromEvent(event, event.message, at));
    if (event.messageEdited) {
      const { targetSeq, content, mentions = [] } = event.messageEdited;
      this.#change(targetSeq, { seq: event.seq, at, deleted: false, content, mentions });
    } else if (event.messageDeleted) {
      const { targetSeq } = event.messageDeleted;
      this.#change(targetSeq, { seq: event.seq, at, deleted: true, content: '', mentions: [] });
      const rest = this.#removed.get(targetSeq);
      if (rest) this.#add(tombstone(rest, this.#names.get(rest.actorId) ?? ''));
    } else if (event.removed?.reason === 'deleted') {
      this.#remember(event);
      this.#change(event.seq, { seq: event.seq, at: 0, deleted: true, content: '', mentions: [] });
    }
    return undefined;
  }

  /** Takes in a page of history, in which edits and deletions up to `stateSeq` are applied. */
  addPage(messages: readonly WireMessage[], stateSeq: number): void {
    for (const message of messages) this.#add(fromWire(message, Math.max(stateSeq, message.seq)));
  }

  /** Forgets the messages below `seq`. Changes to them are kept for when they come back. Returns how many went. */
  dropBelow(seq: number): number {
    let dropped = 0;
    for (const message of this.messages) {
      if (message.seq >= seq) break;
      this.#bySeq.delete(message.seq);
      this.#keys.delete(message.key);
      dropped++;
    }
    if (dropped > 0) this.#sorted = undefined;
    return dropped;
  }

  /** Forgets the messages and changes above `seq`: the log has lost them. */
  dropAbove(seq: number): void {
    for (const message of this.messages) {
      if (message.seq <= seq) continue;
      this.#bySeq.delete(message.seq);
      this.#keys.delete(message.key);
    }
    for (const [target, change] of this.#changes) if (change.seq > seq) this.#changes.delete(target);
    this.#sorted = undefined;
  }

  #add(message: StoredMessage): StoredMessage | undefined {
    const known = this.#bySeq.get(message.seq);
    const elsewhere = this.#keys.get(message.key);
    if (elsewhere !== undefined && elsewhere <= message.seq && !known) return undefined; // a second copy: the first counts
    if (known && (known.stateSeq >= message.stateSeq || known.deleted)) return undefined;
    if (elsewhere !== undefined && elsewhere !== message.seq) this.#bySeq.delete(elsewhere);
    this.#put(withChange(message, this.#changes.get(message.seq)));
    return known ? undefined : this.#bySeq.get(message.seq);
  }

  #remember(event: WireEvent): void {
    this.#removed.set(event.seq, event);
    if (this.#removed.size > MAX_CHANGES) this.#removed.delete(this.#removed.keys().next().value!);
  }

  #change(targetSeq: number, change: Change): void {
    const known = this.#changes.get(targetSeq);
    if (known && (known.deleted || (known.seq >= change.seq && !change.deleted))) return;
    this.#changes.delete(targetSeq);
    this.#changes.set(targetSeq, change);
    if (this.#changes.size > MAX_CHANGES) this.#changes.delete(this.#changes.keys().next().value!);
    const target = this.#bySeq.get(targetSeq);
    if (target) this.#put(withChange(target, change));
  }

  #put(message: StoredMessage): void {
    const known = this.#bySeq.get(message.seq);
    this.#bySeq.set(message.seq, message);
    this.#keys.set(message.key, message.seq);
    if (message.senderName) this.#names.set(message.senderId, message.senderName);
    if (known === message) return;
    const last = this.#sorted?.[this.#sorted.length - 1];
    const append = this.#sorted !== undefined && !known && (last === undefined || last.seq < message.seq);
    this.#sorted = append ? [...this.#sorted!, message] : undefined;
  }
}

function withChange(message: StoredMessage, change: Change | undefined): StoredMessage {
  if (!change || message.deleted) return message;
  if (change.deleted) {
    return { ...message, content: '', mentions: [], attachments: [], deleted: true, stateSeq: Math.max(message.stateSeq, change.seq) };
  }
  if (change.seq <= message.stateSeq) return message;
  const { content, mentions } = change;
  return { ...message, content, mentions, updatedAt: change.at, stateSeq: change.seq };
}

function fromEvent(event: WireEvent, message: WireMessage, at: number): StoredMessage {
  const whole = { ...message, id: message.id || event.id, senderId: message.senderId || event.actorId, seq: event.seq };
  const stored = fromWire({ ...whole, channelId: event.channelId }, event.seq);
  return stored.createdAt === 0 ? { ...stored, createdAt: at } : stored;
}

/** What is left of a message whose content was removed before it came here. */
function tombstone(event: WireEvent, senderName: string): StoredMessage {
  const { id, channelId, actorId: senderId, seq } = event;
  const nothing = { content: '', type: 'text', threadId: '', replyTo: '', mentions: [], attachments: [] } as const;
  const times = { createdAt: timeOf(event.createdAt), updatedAt: 0, stateSeq: seq };
  return { key: keyOf(senderId, id), id, channelId, senderId, senderName, seq, ...nothing, ...times, deleted: true };
}

function fromWire(message: WireMessage, stateSeq: number): StoredMessage {
  return {
    key: keyOf(message.senderId, message.id),
    id: message.id,
    channelId: message.channelId,
    senderId: message.senderId,
    senderName: message.senderName ?? '',
    content: message.deleted ? '' : (message.content ?? ''),
    type: message.type ?? 'text',
    threadId: message.threadId ?? '',
    replyTo: message.replyTo ?? '',
    mentions: message.deleted ? [] : (message.mentions ?? []),
    attachments: message.deleted ? [] : (message.attachments ?? []),
    createdAt: timeOf(message.createdAt),
    updatedAt: timeOf(message.updatedAt),
    seq: message.seq,
    deleted: message.deleted ?? false,
    stateSeq,
  };
}
