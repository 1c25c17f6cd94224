import type { Env } from './env.js';
import type { TypingFrame } from './wire.js';

/**
 * So often it is said that the user writes. Milliseconds. The server takes one each 3 s and shows it for 6 s: a little
 * more than 3 s, so that one that travelled faster than the one before is not taken for too early.
 */
export const SAY_EVERY_MS = 3_200;
/** Without input for this long, he does not write any more. Milliseconds. */
export const WRITES_FOR_MS = 6_000;
/** The server repeats who writes every 5 s: after this long without it nobody does. Milliseconds. */
export const SHOWN_FOR_MS = 8_000;

/** Where somebody writes: a channel, or one thread of it. */
interface Place {
  channelId: string;
  threadId: string;
}

interface Writing extends Place {
  /** Monotonic time of the last input. */
  inputAt: number;
  /** The server knows, or is to know. */
  active: boolean;
  /** There was input since it was said last. */
  fresh: boolean;
  /** When this session was told last; before that: -Infinity. */
  saidAt: number;
  timer: unknown;
}

/** Says that the user writes, in one place of a channel at a time; not more often than the server wants to hear it. */
export class TypingSender {
  readonly #env: Env;
  readonly #say: (place: Place, stopped: boolean) => void;
  readonly #writings = new Map<string, Writing>();
  #online = false;
  /** Wall time until which others are to take the user for offline; 0: they see him. */
  #hiddenUntil = 0;

  /** `say` is called while there is a session. */
  constructor(env: Env, say: (place: Place, stopped: boolean) => void) {
    this.#env = env;
    this.#say = say;
  }

  get hiddenUntil(): number {
    return this.#hiddenUntil;
  }

  /** Until then (wall time) nothing is said that shows that the user is there; what was said is taken back. */
  hide(until: number): void {
    this.#hiddenUntil = until;
    if (this.#hidden()) for (const { channelId, threadId } of this.#writings.values()) this.stop(channelId, threadId);
  }

  /** There was input. */
  typing(channelId: string, threadId: string): void {
    if (this.#hidden()) return;
    const known = this.#writings.get(channelId);
    const writing = known ?? { channelId, threadId, inputAt: 0, active: false, fresh: false, saidAt: -Infinity, timer: undefined };
    writing.inputAt = this.#env.clock.mono();
    writing.threadId = threadId;
    writing.active = writing.fresh = true;
    this.#writings.set(channelId, writing);
    this.#tell(writing);
  }

  /** The input was emptied or left. */
  stop(channelId: string, threadId: string): void {
    const writing = this.#writings.get(channelId);
    if (!writing?.active || writing.threadId !== threadId) return;
    this.#end(writing);
    const shown = this.#env.clock.mono() - writing.saidAt < WRITES_FOR_MS;
    if (this.#online && shown) this.#say(writing, true);
  }

  /** What was written was sent: the server knows by itself that it ended. */
  sent(channelId: string): void {
    const writing = this.#writings.get(channelId);
    if (writing) this.#end(writing);
  }

  /** A new session knows of nothing. */
  online(): void {
    this.#online = true;
    for (const writing of this.#writings.values()) {
      if (writing.active && this.#env.clock.mono() - writing.inputAt < WRITES_FOR_MS) this.#tell(writing);
    }
  }

  offline(): void {
    this.#online = false;
    for (const [channelId, writing] of this.#writings) {
      this.#env.clock.clearTimeout(writing.timer);
      writing.saidAt = -Infinity;
      if (!writing.active) this.#writings.delete(channelId);
    }
  }

  #hidden(): boolean {
    return this.#hiddenUntil > this.#env.clock.wall();
  }

  #end(writing: Writing): void {
    writing.active = writing.fresh = false;
    this.#env.clock.clearTimeout(writing.timer);
  }

  /** Now, or when it is time; the last input counts. */
  #tell(writing: Writing): void {
    this.#env.clock.clearTimeout(writing.timer);
    if (!this.#online) return;
    const now = this.#env.clock.mono();
    const wait = writing.saidAt + SAY_EVERY_MS - now;
    if (wait > 0) {
      writing.timer = this.#env.clock.setTimeout(() => writing.fresh && this.#tell(writing), wait);
      return;
    }
    writing.saidAt = now;
    writing.fresh = false;
    this.#say(writing, false);
  }
}

/** Who writes in one place, but the user himself. */
export interface Typists {
  readonly channelId: string;
  /** Empty: the channel itself. */
  readonly threadId: string;
  readonly userIds: readonly string[];
  /** So many more. */
  readonly more: number;
}

/** Who writes where, as the server has told. It ends by itself when the server falls silent. */
export class TypistStore {
  readonly #env: Env;
  readonly #changed: (typists: Typists) => void;
  readonly #places = new Map<string, { typists: Typists; timer: unknown }>();

  constructor(env: Env, changed: (typists: Typists) => void) {
    this.#env = env;
    this.#changed = changed;
  }

  in(channelId: string, threadId: string): Typists {
    return this.#places.get(`${channelId}/${threadId}`)?.typists ?? { channelId, threadId, userIds: [], more: 0 };
  }

  onFrame(frame: TypingFrame, self: string): void {
    const { channelId, threadId = '', more = 0 } = frame;
    this.#put({ channelId, threadId, userIds: (frame.userIds ?? []).filter((id) => id !== self), more });
  }

  /** His message is here: he does not write it any more, whatever is still on its way. */
  arrived(channelId: string, threadId: string, userId: string): void {
    const typists = this.in(channelId, threadId);
    if (typists.userIds.includes(userId)) this.#put({ ...typists, userIds: typists.userIds.filter((id) => id !== userId) });
  }

  /** Forgets what is not in these channels. */
  keep(channelIds: readonly string[]): void {
    for (const { typists } of [...this.#places.values()]) {
      if (!channelIds.includes(typists.channelId)) this.#put({ ...typists, userIds: [], more: 0 });
    }
  }

  #put(typists: Typists): void {
    const key = `${typists.channelId}/${typists.threadId}`;
    this.#env.clock.clearTimeout(this.#places.get(key)?.timer);
    const nobody = typists.userIds.length === 0 && typists.more === 0;
    const expire = () => this.#put({ ...typists, userIds: [], more: 0 });
    if (nobody) this.#places.delete(key);
    else this.#places.set(key, { typists, timer: this.#env.clock.setTimeout(expire, SHOWN_FOR_MS) });
    this.#changed(typists);
  }
}
