import { backoff, REPAIR } from './backoff.js';
import type { Env } from './env.js';
import { asError, isTemporary, type ParleyError } from './errors.js';

/** Without input for this long, the device counts as not in use. Milliseconds. */
export const IDLE_AFTER_MS = 5 * 60_000;

export interface IdleHooks {
  /** Tells the session; resolves when it was taken. */
  tell: (idle: boolean) => Promise<unknown>;
  /** The server will not have it. */
  refused: (error: ParleyError) => void;
}

/** Notices that nobody uses this device any more, and that somebody does again; each session is told. */
export class IdleWatch {
  readonly #env: Env;
  readonly #afterMs: number;
  readonly #hooks: IdleHooks;
  #idle = false;
  #lastInput = 0;
  #timer: unknown;
  #unlisten: (() => void) | undefined;
  #online = false;
  #attempts = 0;
  #again: unknown;
  /** Rises with whatever makes the word that is under way an old one. */
  #word = 0;

  /** `afterMs` 0: never idle. Does nothing where the host does not know of input (no `signals.input`). */
  constructor(env: Env, afterMs: number, hooks: IdleHooks) {
    this.#env = env;
    this.#afterMs = afterMs;
    this.#hooks = hooks;
  }

  /** Fine when it runs already. */
  start(): void {
    if (this.#unlisten || this.#afterMs <= 0 || !this.#env.signals.input) return;
    this.#unlisten = this.#env.signals.input(() => this.#input());
    this.#lastInput = this.#env.clock.mono();
    this.#arm(this.#afterMs);
  }

  stop(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#env.clock.clearTimeout(this.#timer);
    this.#idle = false;
  }

  /** A session begins as in use. */
  online(): void {
    this.#online = true;
    if (this.#idle) this.#tell();
  }

  /** What is lost with the connection is said again by the next one. */
  offline(): void {
    this.#online = false;
    this.#hush();
  }

  /** Input comes often: it only notes the time, and the timer looks at that when it fires. */
  #input(): void {
    this.#lastInput = this.#env.clock.mono();
    if (!this.#idle) return;
    this.#arm(this.#afterMs);
    this.#set(false);
  }

  #arm(ms: number): void {
    this.#env.clock.clearTimeout(this.#timer);
    this.#timer = this.#env.clock.setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    const left = this.#lastInput + this.#afterMs - this.#env.clock.mono();
    if (left > 0) this.#arm(left);
    else this.#set(true);
  }

  #set(idle: boolean): void {
    this.#idle = idle;
    this.#hush();
    if (this.#online) this.#tell();
  }

  #hush(): void {
    this.#word++;
    this.#attempts = 0;
    this.#env.clock.clearTimeout(this.#again);
  }

  #tell(): void {
    const word = this.#word;
    this.#hooks.tell(this.#idle).catch((thrown: unknown) => {
      if (word === this.#word) this.#failed(asError(thrown));
    });
  }

  /** The session lives on, so nobody else will say it. */
  #failed(error: ParleyError): void {
    if (!isTemporary(error)) return this.#hooks.refused(error);
    const delay = Math.max(error.retryMs, backoff(this.#attempts++, REPAIR, this.#env.random()));
    this.#again = this.#env.clock.setTimeout(() => this.#tell(), delay);
  }
}
