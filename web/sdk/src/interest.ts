import { backoff, REPAIR } from './backoff.js';
import type { Env } from './env.js';
import { asError, isTemporary, type ParleyError } from './errors.js';

export interface InterestHooks {
  /** Tells the session; resolves when it was taken. */
  tell: (ids: readonly string[]) => Promise<unknown>;
  /** The server will not have it: the set that it took before stays. */
  refused: (error: ParleyError) => void;
  /** Whether the server takes this id at present: for one that it does not it would refuse the whole set. */
  takes: (id: string) => boolean;
  /** So many at most: the first ones. */
  most: () => number;
}

/**
 * A set of ids that the server has to know of, as it is now: told to each session anew, and again when it changes. Changes of one turn
 * of the event loop are told once, and one at a time.
 */
export class Interest {
  readonly #env: Env;
  readonly #hooks: InterestHooks;
  #wanted: readonly string[] = [];
  /** What this session was told last; a new one knows of nothing. Undefined: not certain what it knows, so it is told anyhow. */
  #told: readonly string[] | undefined = [];
  #online = false;
  #busy = false;
  #attempts = 0;
  #timer: unknown;
  /** Rises with each session, so that an answer to an older one is recognised. */
  #session = 0;

  constructor(env: Env, hooks: InterestHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /** What the server takes of the set at present. */
  get ids(): readonly string[] {
    return this.#wanted.filter(this.#hooks.takes).slice(0, this.#hooks.most()).sort();
  }

  /** Takes the place of the set before. */
  set(ids: readonly string[]): void {
    this.#wanted = [...new Set(ids)];
    this.#pump();
  }

  /** The server takes this id from now on, or no longer: then it has dropped it by itself, or refuses a set with it that is under way. */
  changed(id: string): void {
    if (!this.#wanted.includes(id)) return;
    this.#told = undefined;
    this.#pump();
  }

  online(): void {
    this.offline();
    this.#online = true;
    this.#pump();
  }

  offline(): void {
    this.#online = false;
    this.#busy = false;
    this.#told = [];
    this.#attempts = 0;
    this.#session++;
    this.#env.clock.clearTimeout(this.#timer);
  }

  #pump(): void {
    if (!this.#online || this.#busy || (this.#told && same(this.ids, this.#told))) return;
    this.#busy = true;
    const session = this.#session;
    queueMicrotask(() => {
      if (session === this.#session) this.#tell(session);
    });
  }

  #tell(session: number): void {
    const ids = this.ids;
    this.#told = ids;
    const done = (error?: ParleyError) => {
      if (session !== this.#session) return;
      if (error && isTemporary(error)) return this.#later(error);
      this.#busy = false;
      this.#attempts = 0;
      if (error) this.#hooks.refused(error);
      this.#pump();
    };
    this.#hooks.tell(ids).then(() => done(), (thrown: unknown) => done(asError(thrown)));
  }

  #later(error: ParleyError): void {
    this.#told = undefined;
    const delay = Math.max(error.retryMs, backoff(this.#attempts++, REPAIR, this.#env.random()));
    this.#timer = this.#env.clock.setTimeout(() => {
      this.#busy = false;
      this.#pump();
    }, delay);
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
