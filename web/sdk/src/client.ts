import { Connection, type ConnectionState } from './connection.js';
import { ChannelRecord, type ChannelView, type Message, type Self } from './channel.js';
import { Emitter } from './emitter.js';
import { browserEnv, type Env } from './env.js';
import { ParleyError } from './errors.js';
import { History } from './history.js';
import { IDLE_AFTER_MS, IdleWatch } from './idle.js';
import type { ClientEvents, ClientOptions, SendOptions } from './options.js';
import { Outbox, type OutboxItem } from './outbox.js';
import { People } from './people.js';
import type { ChannelPresence, UserPresence } from './presence.js';
import { cursorOf, MAX_CURSORS, Repairs } from './repair.js';
import { Rest } from './rest.js';
import type { StoredMessage } from './store.js';
import { TokenCache } from './token.js';
import type { Typists } from './typing.js';
import { Files, type FileDescriptor, type UploadOptions } from './upload.js';
import { uuidv7 } from './uuid.js';
import type { Ack, ChannelState, Ready, ServerFrame, StatusFields, WireEvent } from './wire.js';

/** Version of the SDK, as told to the server. */
export const VERSION = '0.1.0';

/** A chat session of one user: stays connected, proves that it missed nothing, and sends what it was given. */
export class ParleyClient {
  readonly #env: Env;
  readonly #options: ClientOptions;
  readonly #events = new Emitter<ClientEvents>();
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #repairs: Repairs;
  readonly #history: History;
  readonly #idle: IdleWatch;
  readonly #people: People;
  readonly #channels = new Map<string, ChannelRecord>();
  readonly #touched = new Set<ChannelRecord>();
  #greeted: ReadonlySet<string> = new Set();
  #self: Self = { id: '', name: '' };
  #maxContentBytes = 16 * 1024;
  /** Direct access to the REST interface, with the same token. */
  readonly rest: Rest;
  /** Reading files, and unfinished uploads. */
  readonly files: Files;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#env = options.env ?? browserEnv();
    const tokens = new TokenCache(options.token, this.#env.clock);
    this.rest = new Rest(this.#env, options.api ?? '', tokens);
    this.files = new Files(this.#env, this.rest, options.uploads ?? options.storage, () => this.#self.id);
    this.#connection = this.#makeConnection(tokens);
    this.#outbox = this.#makeOutbox();
    this.#idle = new IdleWatch(this.#env, options.idleAfterMs ?? IDLE_AFTER_MS, {
      tell: (idle) => this.#connection.request({ type: 'idle', idle }),
      refused: (error) => this.#events.emit('error', error),
    });
    this.#people = new People(this.#env, {
      request: (body) => this.#connection.request(body),
      isMember: (channelId) => this.#channels.has(channelId),
      presence: (userIds) => this.#events.emit('presence', userIds),
      channelPresence: (channel) => this.#events.emit('channelPresence', channel),
      typing: (typists) => this.#events.emit('typing', typists),
      report: (error) => this.#events.emit('error', error),
    });
    const isCurrent = (record: ChannelRecord) => this.#channels.get(record.id) === record;
    const changed = (record: ChannelRecord) => this.#touch(record);
    this.#history = new History(this.#env, this.rest, { isCurrent, changed, fill: (it) => this.#repairs.fill(it) });
    this.#repairs = new Repairs(this.#env, this.rest, {
      request: (body) => this.#connection.request(body),
      isOnline: () => this.#connection.state.status === 'online',
      isCurrent,
      apply: (record, events) => events.forEach((event) => this.#apply(record, event)),
      reset: (record) => this.#history.reload(record),
      changed,
      report: (error) => this.#events.emit('error', error),
    });
  }

  /** Calls `listener` on each `name` from now on. Returns a function that ends it. */
  on<K extends keyof ClientEvents>(name: K, listener: (value: ClientEvents[K]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Where the connection stands. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Id of the user; empty before the first session. */
  get userId(): string {
    return this.#self.id;
  }

  /** Display name of the user; empty before the first session. */
  get userName(): string {
    return this.#self.name;
  }

  /** The largest content that the server takes, in bytes of UTF-8. */
  get maxContentBytes(): number {
    return this.#maxContentBytes;
  }

  /** So many users can be watched. */
  get maxWatch(): number {
    return this.#people.maxWatch;
  }

  /** So many channels can be in focus. */
  get maxFocus(): number {
    return this.#people.maxFocus;
  }

  /** The user's channels, by name. */
  get channels(): readonly ChannelView[] {
    const views = [...this.#channels.values()].map((record) => this.#view(record));
    return views.sort((a, b) => a.info.name.localeCompare(b.info.name) || a.id.localeCompare(b.id));
  }

  channel(channelId: string): ChannelView | undefined {
    const record = this.#channels.get(channelId);
    return record && this.#view(record);
  }

  /** Connects and stays connected. Also: try again now, instead of when the waiting time is over. */
  connect(): void {
    this.#idle.start();
    this.#connection.connect();
  }

  /** Ends the session for good. What was not sent stays in the storage. */
  close(): void {
    this.#connection.close();
    this.#idle.stop();
    this.#history.stop();
    this.#channels.clear();
    this.#people.forget();
    this.#repairs.wake();
  }

  /** Loads the latest messages of a channel, and keeps it whole from then on. Never rejects: see `history` of its view. */
  open(channelId: string): Promise<void> {
    return this.#history.open(this.#record(channelId));
  }

  /** Loads older messages. Resolves to how many came; rejects with a ParleyError. */
  loadBefore(channelId: string, limit?: number): Promise<number> {
    return this.#history.before(this.#record(channelId), limit);
  }

  /** Forgets all but the latest `keep` messages, so that a page that stays open for days stays small. */
  trim(channelId: string, keep: number): void {
    this.#history.trim(this.#record(channelId), keep);
  }

  /**
   * Sends a message. It appears in the channel at once as `sending`. Returns its id.
   * Throws `bad_request` (empty), `too_large`, `not_a_member`, or `unavailable` (500 messages wait already).
   */
  send(channelId: string, content: string, options: SendOptions = {}): string {
    const { attachments = [] } = options;
    if (attachments.length === 0 || content !== '') this.#checkContent(content);
    this.#people.writing.sent(channelId);
    return this.#enqueue('send', channelId, {
      content,
      mentions: options.mentions ?? [],
      messageType: options.type ?? typeOf(attachments),
      threadId: options.threadId ?? '',
      replyTo: options.replyTo ?? '',
      attachments,
    });
  }

  /**
   * Uploads a file for a channel: `onProgress`, `signal`. One of an earlier attempt goes on where that ended, also after a reload.
   * Resolves to what `send` takes as an attachment. Rejects with a ParleyError: `too_large`, `forbidden` (the type), `not_a_member`, `aborted`,
   * `unavailable` (call it again to go on).
   */
  upload(channelId: string, file: File, options: UploadOptions = {}): Promise<FileDescriptor> {
    return this.files.upload(channelId, file, options);
  }

  /** Replaces the content of a message that is stored. Returns the id of the edit. Throws as `send` does, and `not_found`. */
  edit(channelId: string, seq: number, content: string, mentions: readonly string[] = []): string {
    this.#checkContent(content);
    return this.#enqueue('edit', channelId, { targetSeq: this.#target(channelId, seq), content, mentions });
  }

  /** Deletes a message that is stored. Returns the id of the deletion. Throws `not_a_member` or `not_found`. */
  delete(channelId: string, seq: number): string {
    return this.#enqueue('delete', channelId, { targetSeq: this.#target(channelId, seq) });
  }

  /** Tries a failed message, edit or deletion again, under the same id. */
  retry(id: string): void {
    this.#outbox.retry(id);
  }

  /** Gives up a failed message, edit or deletion. Returns false when it may still arrive. */
  discard(id: string): boolean {
    return this.#outbox.discard(id);
  }

  /**
   * Says something of the user to others, instead of all that was said before; it outlives the session. Resolves when it is kept. Rejects with
   * a ParleyError: `bad_request` (names the field), `rate_limited`, `unavailable`, or `connection_lost` when not online.
   */
  setStatus(status: StatusFields): Promise<void> {
    return this.#people.setStatus(status);
  }

  /**
   * Asks for the presence of these users, instead of those of the last call, now and in each later session; at most `maxWatch`, else it
   * throws `too_large`. A later session whose server takes fewer is told the first ones. `presence` events follow.
   */
  watch(userIds: readonly string[]): void {
    this.#people.watch(userIds);
  }

  /**
   * Names the channels that somebody looks at, instead of those of the last call; at most `maxFocus`, as with `watch`. Who is there and who writes is told of these,
   * while the user is in them: of one that he comes into later, or again, from then on.
   */
  focus(channelIds: readonly string[]): void {
    this.#people.focus(channelIds);
  }

  /** Where a watched user, or one of a channel in focus, stands. Undefined: not known yet, or not to be seen. */
  presence(userId: string): UserPresence | undefined {
    return this.#people.store.user(userId);
  }

  /** Who of a channel in focus is there. */
  channelPresence(channelId: string): ChannelPresence | undefined {
    return this.#people.store.channel(channelId);
  }

  /**
   * To be called at each input: others see that the user writes. It is told at most every 3 s, and ends by itself, by `send`, or `stopTyping`.
   * Not while the user is `invisible`, by `setStatus` or, where he is in `watch`, by his own presence.
   */
  typing(channelId: string, threadId = ''): void {
    this.#people.writing.typing(channelId, threadId);
  }

  /** The input was emptied, or left. */
  stopTyping(channelId: string, threadId = ''): void {
    this.#people.writing.stop(channelId, threadId);
  }

  /** Who writes in a channel in focus; never the user himself. */
  typists(channelId: string, threadId = ''): Typists {
    return this.#people.typists.in(channelId, threadId);
  }

  #makeConnection(tokens: TokenCache): Connection {
    const url = this.#options.url ?? defaultUrl();
    const client = this.#options.client ?? `parley-sdk/${VERSION}`;
    const connection = new Connection({ env: this.#env, url, tokens, client, cursors: () => this.#cursors(), device: this.#options.device ?? 'web' });
    connection.on('state', (state) => this.#events.emit('state', state));
    connection.on('error', (error) => this.#events.emit('error', error));
    connection.on('ready', (ready) => this.#onReady(ready));
    connection.on('frame', (frame) => this.#onFrame(frame));
    connection.on('lost', () => {
      this.#idle.offline();
      this.#outbox.offline();
      this.#people.offline();
      this.#repairs.lost();
    });
    return connection;
  }

  #makeOutbox(): Outbox {
    return new Outbox(this.#env, {
      request: (body) => this.#connection.request(body),
      changed: (channelId) => this.#touchId(channelId),
      acked: (item, ack) => this.#onAcked(item, ack),
      failed: (_item, error) => this.#events.emit('error', error),
      describe: (fileId, channelId) => this.rest.describeFile(fileId, channelId),
      tokenRefused: () => void this.#connection.renewToken().catch(() => {}),
    });
  }

  #cursors() {
    const records = [...this.#channels.values()].slice(0, MAX_CURSORS);
    this.#greeted = new Set(records.map((record) => record.id));
    return records.map(cursorOf);
  }

  #onReady(ready: Ready): void {
    this.#idle.online();
    if (this.#self.id !== '' && this.#self.id !== ready.userId) {
      this.#channels.clear(); // another user: nothing of this is his
      this.#people.forget();
    }
    const first = this.#self.id !== ready.userId;
    this.#self = { id: ready.userId, name: ready.name };
    if (ready.maxContentBytes > 0) this.#maxContentBytes = ready.maxContentBytes;
    const present = new Set(ready.channels.map((state) => state.channel.id));
    for (const id of [...this.#channels.keys()]) if (!present.has(id)) this.#removeChannel(id);
    for (const state of ready.channels) this.#resumeChannel(state, this.#greeted.has(state.channel.id));
    this.#events.emit('channels', this.channels);
    if (first && this.#options.storage) this.#outbox.persist(this.#options.storage, `parley.outbox.${ready.userId}`);
    this.#outbox.online();
    this.#people.online(ready);
    this.#repairs.wake();
    this.#history.wake();
  }

  /** `greeted`: its cursor was in hello, so what is missing comes without being asked for. */
  #resumeChannel(state: ChannelState, greeted: boolean): void {
    const record = this.#channels.get(state.channel.id);
    if (!record) return this.#addChannel(state);
    record.info = state.channel;
    record.role = state.role;
    record.chain.resumed(state.epoch, state.headSeq);
    this.#repairs.begin(record, greeted);
    this.#touch(record);
  }

  #addChannel(state: ChannelState): void {
    const record = new ChannelRecord(state);
    this.#channels.set(record.id, record);
    this.#people.membership(record.id);
    this.#touch(record);
  }

  #removeChannel(channelId: string): void {
    this.#channels.delete(channelId);
    this.#outbox.drop(channelId);
    this.#people.membership(channelId);
  }

  #onFrame(frame: ServerFrame): void {
    if (this.#people.onFrame(frame, this.#self.id)) return;
    if (frame.type === 'event') return this.#withRecord(frame.channelId, (it) => this.#repairs.onEvent(it, frame));
    if (frame.type === 'replay') return this.#withRecord(frame.channelId, (it) => this.#repairs.onReplay(it, frame));
    if (frame.type === 'gap') return this.#withRecord(frame.channelId, (it) => this.#repairs.onGap(it, frame));
    if (frame.type === 'channelAdded') this.#resumeChannel(frame.state, false);
    else if (frame.type === 'channelRemoved') this.#removeChannel(frame.channelId);
    else return; // a frame of a newer server
    this.#events.emit('channels', this.channels);
  }

  #withRecord(channelId: string, run: (record: ChannelRecord) => void): void {
    const record = this.#channels.get(channelId);
    if (record) run(record);
  }

  #apply(record: ChannelRecord, event: WireEvent): void {
    const added = record.store.apply(event);
    record.shrinkUnopened();
    if (event.channelChanged && event.channelChanged.channel.version > record.info.version) {
      record.info = event.channelChanged.channel;
      queueMicrotask(() => this.#events.emit('channels', this.channels));
    }
    this.#touch(record);
    this.#events.emit('event', event);
    if (added) this.#people.typists.arrived(record.id, added.threadId, added.senderId);
    if (added) this.#events.emit('message', this.#show(added));
  }

  /** The acknowledgement may come before the event or after it; both say the same. */
  #onAcked(item: OutboxItem, ack: Ack): void {
    const record = this.#channels.get(item.channelId);
    if (!record) return;
    const aboveWindow = ack.seq >= record.firstSeq || !record.hasBefore;
    const added = item.kind !== 'send' || aboveWindow ? record.store.apply(this.#eventOf(item, ack)) : undefined;
    this.#touch(record);
    if (added) this.#events.emit('message', this.#show(added));
  }

  #eventOf(item: OutboxItem, ack: Ack): WireEvent {
    const { id, channelId, targetSeq, content } = item;
    const mentions = [...item.mentions];
    const head = { channelId, seq: ack.seq, prev: 0, id, actorId: this.#self.id };
    const event: WireEvent = ack.createdAt ? { ...head, createdAt: ack.createdAt } : head;
    const targetId = '';
    if (item.kind === 'edit') return { ...event, messageEdited: { targetSeq, targetId, content, mentions } };
    if (item.kind === 'delete') return { ...event, messageDeleted: { targetSeq, targetId } };
    const { messageType: type, threadId, replyTo } = item;
    const sender = { senderId: this.#self.id, senderName: this.#self.name };
    const attachments = item.attachments?.map((each) => each.attachment) ?? [];
    const message = { id, channelId, ...sender, content, type, threadId, replyTo, mentions, attachments, seq: ack.seq, deleted: false };
    return { ...event, message };
  }

  #enqueue(kind: OutboxItem['kind'], channelId: string, part: Partial<OutboxItem>): string {
    this.#record(channelId);
    const now = this.#env.clock.wall();
    const id = uuidv7(now, this.#env.randomBytes(16));
    const empty = { targetSeq: 0, content: '', mentions: [], messageType: 'text', threadId: '', replyTo: '' } as const;
    this.#outbox.add({ ...empty, ...part, kind, id, channelId, createdAt: now, status: 'sending', sentBefore: false });
    return id;
  }

  #checkContent(content: string): void {
    if (content.trim() === '') throw new ParleyError('bad_request', 'the message is empty');
    const size = new TextEncoder().encode(content).length;
    if (size <= this.#maxContentBytes) return;
    throw new ParleyError('too_large', `the message has ${size} bytes; ${this.#maxContentBytes} are allowed`);
  }

  #target(channelId: string, seq: number): number {
    if (this.#record(channelId).store.bySeq(seq)) return seq;
    throw new ParleyError('not_found', `there is no message ${seq} in ${channelId}`);
  }

  #record(channelId: string): ChannelRecord {
    const record = this.#channels.get(channelId);
    if (!record) throw new ParleyError('not_a_member', `not a member of ${channelId}`);
    return record;
  }

  #view(record: ChannelRecord): ChannelView {
    return record.view(this.#self, this.#outbox.items(record.id));
  }

  #show(message: StoredMessage): Message {
    return { ...message, own: message.senderId === this.#self.id, status: 'sent' };
  }

  #touchId(channelId: string): void {
    const record = this.#channels.get(channelId);
    if (record) this.#touch(record);
  }

  /** Many changes in one turn are told once. */
  #touch(record: ChannelRecord): void {
    record.touch();
    if (this.#touched.size === 0) queueMicrotask(() => this.#tellTouched());
    this.#touched.add(record);
  }

  #tellTouched(): void {
    const records = [...this.#touched];
    this.#touched.clear();
    for (const record of records) {
      if (this.#channels.get(record.id) === record) this.#events.emit('channel', this.#view(record));
    }
  }
}

function typeOf(attachments: readonly FileDescriptor[]): SendOptions['type'] & string {
  if (attachments.length === 0) return 'text';
  return attachments.every(({ attachment }) => attachment.contentType.startsWith('image/')) ? 'image' : 'file';
}

function defaultUrl(): string {
  const { protocol, host } = globalThis.location;
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/ws`;
}
