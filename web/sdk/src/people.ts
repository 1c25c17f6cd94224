import type { Env } from './env.js';
import { asError, ParleyError } from './errors.js';
import { Interest } from './interest.js';
import { PresenceStore, type ChannelPresence } from './presence.js';
import { TypingSender, TypistStore, type Typists } from './typing.js';
import { timeOf, type ClientBody, type Ready, type ServerFrame, type StatusFields } from './wire.js';

/** What a server takes at a time that does not say it. */
const MAX_WATCH = 500;
const MAX_FOCUS = 16;

export interface PeopleHooks {
  request: (body: ClientBody) => Promise<ServerFrame>;
  isMember: (channelId: string) => boolean;
  /** Of these users something changed. */
  presence: (userIds: readonly string[]) => void;
  channelPresence: (channel: ChannelPresence) => void;
  typing: (typists: Typists) => void;
  report: (error: ParleyError) => void;
}

/** Who is there, and who writes: tells the server what this client wants to hear of, and keeps what it answers. */
export class People {
  readonly #hooks: PeopleHooks;
  readonly #watched: Interest;
  readonly #focus: Interest;
  /** The gateway of this session does not know such frames; it would close a session that goes on with them. */
  #older = false;
  #maxWatch = MAX_WATCH;
  #maxFocus = MAX_FOCUS;
  readonly store = new PresenceStore();
  readonly typists: TypistStore;
  readonly writing: TypingSender;

  constructor(env: Env, hooks: PeopleHooks) {
    this.#hooks = hooks;
    const refused = (error: ParleyError) => hooks.report(error);
    const watch = (userIds: readonly string[]) => this.#ask({ type: 'watch', userIds });
    const focus = (channelIds: readonly string[]) => this.#ask({ type: 'focus', channelIds });
    this.#watched = new Interest(env, { tell: watch, refused, takes: () => true, most: () => this.#maxWatch });
    this.#focus = new Interest(env, { tell: focus, refused, takes: hooks.isMember, most: () => this.#maxFocus });
    this.typists = new TypistStore(env, hooks.typing);
    this.writing = new TypingSender(env, (place, stopped) => this.#say(place, stopped));
  }

  get maxWatch(): number {
    return this.#maxWatch;
  }

  get maxFocus(): number {
    return this.#maxFocus;
  }

  watch(userIds: readonly string[]): void {
    limit(userIds, this.#maxWatch, 'users can be watched');
    this.#watched.set(userIds);
    this.#forgotten(this.store.watch(this.#watched.ids));
  }

  focus(channelIds: readonly string[]): void {
    limit(channelIds, this.#maxFocus, 'channels can be in focus');
    this.#focus.set(channelIds);
    this.#forgotten(this.store.focus(this.#focus.ids));
    this.typists.keep(this.#focus.ids);
  }

  /** The user came into this channel, or left it: nobody tells of one that he is not in. */
  membership(channelId: string): void {
    this.#focus.changed(channelId);
    this.typists.keep(this.#focus.ids);
    if (!this.store.channel(channelId)) return;
    this.#forgotten(this.store.focus(this.#focus.ids));
  }

  /** Said of the user himself. Who is to be invisible is not shown writing from before he asks for it. */
  async setStatus(status: StatusFields): Promise<void> {
    const before = this.writing.hiddenUntil;
    const until = status.mode === 'invisible' ? timeOf(status.modeUntil) || Infinity : 0;
    if (until > 0) this.writing.hide(until);
    try {
      await this.#hooks.request({ type: 'status', ...status });
    } catch (error) {
      this.writing.hide(before);
      throw error;
    }
    this.writing.hide(until);
  }

  /** Returns true when the frame was for this part. */
  onFrame(frame: ServerFrame, self: string): boolean {
    const own = 'users' in frame ? frame.users?.find(({ userId }) => userId === self) : undefined;
    if (own) this.writing.hide(own.availability === 'invisible' ? Infinity : 0);
    if (frame.type === 'typing') {
      this.typists.onFrame(frame, self);
    } else if (frame.type === 'presence') {
      const changed = this.store.onPresence(frame);
      if (changed.length > 0) this.#hooks.presence(changed);
    } else if (frame.type === 'channelPresence') {
      if (!this.#focus.ids.includes(frame.channelId)) return true; // told before the set changed: nothing would end it
      const changed = this.store.onChannel(frame);
      if (changed.length > 0) this.#hooks.presence(changed);
      this.#hooks.channelPresence(this.store.channel(frame.channelId)!);
    } else {
      return false;
    }
    return true;
  }

  /** What this session takes; of sets that are larger than that only the beginning is told. */
  online(ready: Ready): void {
    this.#older = false;
    this.#maxWatch = ready.maxWatch ?? MAX_WATCH;
    this.#maxFocus = ready.maxFocus ?? MAX_FOCUS;
    this.#forgotten([...this.store.watch(this.#watched.ids), ...this.store.focus(this.#focus.ids)]);
    this.#watched.online();
    this.#focus.online();
    this.writing.online();
  }

  /** Who was there stays until the next session tells; who wrote does not. */
  offline(): void {
    this.#watched.offline();
    this.#focus.offline();
    this.writing.offline();
    this.typists.keep([]);
  }

  /** All channels are gone, or it is another user: nothing of this is his. */
  forget(): void {
    this.writing.hide(0);
    this.store.clear();
    this.typists.keep([]);
  }

  /** Of these nothing is known any more: what shows them is not to go on. */
  #forgotten(userIds: readonly string[]): void {
    if (userIds.length > 0) this.#hooks.presence(userIds);
  }

  async #ask(body: ClientBody): Promise<void> {
    if (this.#older) return;
    try {
      await this.#hooks.request(body);
    } catch (thrown) {
      const error = asError(thrown);
      this.#older ||= error.code === 'unknown_type';
      throw error;
    }
  }

  /** A word that is lost is not worth a second try: the next one follows, or it is over. */
  #say(place: { channelId: string; threadId: string }, stopped: boolean): void {
    const { channelId, threadId } = place;
    this.#ask({ type: 'typing', channelId, threadId, stopped }).catch((thrown: unknown) => {
      const error = asError(thrown);
      if (error.code !== 'connection_lost' && error.code !== 'timeout') this.#hooks.report(error);
    });
  }
}

function limit(ids: readonly string[], most: number, what: string): void {
  if (new Set(ids).size > most) throw new ParleyError('too_large', `at most ${most} ${what}`);
}
