import type { Clock, Env } from './env.js';

/**
 * Gives a token for the chat service, usually by asking your own backend.
 * `connect`: the first, or after the last one expired; `renew`: the present one expires soon; `refused`: the server did
 * not accept the last one. Always give a fresh one. Throw an error with `fatal: true` when the user has to sign in again;
 * any other error is tried again with backoff.
 */
export type TokenProvider = (why: 'connect' | 'renew' | 'refused') => Promise<string> | string;

/** Longest delay of a timer; longer ones overflow in browsers. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Caches the token between connections and REST requests. One question to the provider at a time. */
export class TokenCache {
  readonly #provider: TokenProvider;
  readonly #clock: Clock;
  #token: string | undefined;
  /** Monotonic time at which the token ends, where the server has told. */
  #endsAt = Infinity;
  #asking: Promise<string> | undefined;

  constructor(provider: TokenProvider, clock: Clock) {
    this.#provider = provider;
    this.#clock = clock;
  }

  /** The present token, or a new one. */
  get(): Promise<string> {
    const usable = this.#token !== undefined && this.#clock.mono() < this.#endsAt;
    return usable ? Promise.resolve(this.#token!) : this.fresh('connect');
  }

  /** A new token, whatever is cached. Those who ask at the same time get the same one. */
  fresh(why: 'connect' | 'renew' | 'refused'): Promise<string> {
    this.#asking ??= this.#ask(why).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** The server said that the present token ends in `ms`. */
  endsIn(ms: number): void {
    this.#endsAt = this.#clock.mono() + ms;
  }

  async #ask(why: 'connect' | 'renew' | 'refused'): Promise<string> {
    const token = await this.#provider(why);
    this.#token = token;
    this.#endsAt = Infinity;
    return token;
  }
}

/** Renews the token of a running session before it expires. */
export class TokenRenewal {
  readonly #env: Env;
  readonly #renew: () => Promise<void>;
  #timer: unknown;
  #dueAt = 0;

  /** `renew` gets a token and sends it; when it fails it is called again after a few seconds. */
  constructor(env: Env, renew: () => Promise<void>) {
    this.#env = env;
    this.#renew = renew;
  }

  /** The token ends in `lifeMs`: renew it a minute before, or after four fifths of its life if that is later. */
  schedule(lifeMs: number): void {
    const lead = Math.min(60_000, lifeMs / 5) * (1 + 0.5 * this.#env.random());
    this.#arm(Math.max(0, lifeMs - lead));
  }

  stop(): void {
    this.#env.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    this.stop();
    this.#dueAt = this.#env.clock.mono() + delayMs;
    this.#timer = this.#env.clock.setTimeout(() => this.#fire(), Math.min(delayMs, MAX_TIMER_MS));
  }

  #fire(): void {
    const left = this.#dueAt - this.#env.clock.mono();
    if (left > 1_000) return this.#arm(left);
    const timer = this.#timer;
    this.#renew().catch(() => {
      if (this.#timer === timer) this.#arm(5_000);
    });
  }
}
