import type { Env } from './env.js';

/** Without input for this long, the device counts as not in use. Milliseconds. */
export const IDLE_AFTER_MS = 5 * 60_000;

/** Notices that nobody uses this device any more, and that somebody does again. */
export class IdleWatch {
  readonly #env: Env;
  readonly #afterMs: number;
  readonly #changed: (idle: boolean) => void;
  #idle = false;
  #lastInput = 0;
  #timer: unknown;
  #unlisten: (() => void) | undefined;

  /** `afterMs` 0: never idle. Does nothing where the host does not know of input (no `signals.input`). */
  constructor(env: Env, afterMs: number, changed: (idle: boolean) => void) {
    this.#env = env;
    this.#afterMs = afterMs;
    this.#changed = changed;
  }

  get idle(): boolean {
    return this.#idle;
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
    this.#changed(idle);
  }
}
