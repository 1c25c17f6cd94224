import type { Env } from './env.js';

/** A ping goes out after at most this many milliseconds of a session. */
const PING_EVERY_MS = 25_000;
/** The connection is given up this long after a ping when nothing at all has come back. */
const PONG_WITHIN_MS = 5_000;
/** How often the clocks are compared, and how far they may part before it counts as sleep. */
const TICK_MS = 5_000;
const JUMP_MS = 10_000;

export interface HeartbeatHooks {
  /** Sends a ping; resolves with the pong. */
  ping: () => Promise<unknown>;
  /** The other side is gone. */
  dead: () => void;
}

/** Pings while a session lasts. Whatever arrives counts as a sign of life. */
export class Heartbeat {
  readonly #env: Env;
  readonly #hooks: HeartbeatHooks;
  readonly #everyMs: number;
  #pingTimer: unknown;
  #deadTimer: unknown;
  #heard = false;
  #testing = false;
  #stopped = false;

  /** `heartbeatMs` is what the server asked for; 0: nothing. */
  constructor(env: Env, heartbeatMs: number, hooks: HeartbeatHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#everyMs = heartbeatMs > 0 ? Math.min(PING_EVERY_MS, heartbeatMs * 0.9) : PING_EVERY_MS;
    this.#schedule();
  }

  /** Something came from the server. */
  heard(): void {
    this.#heard = true;
  }

  /** Pings now: after a sleep, or when the host says that the network is gone. One test at a time. */
  test(): void {
    if (this.#testing || this.#stopped) return;
    this.#testing = true;
    this.#hooks.ping().then(() => this.#alive(), () => {});
    this.#watch();
  }

  stop(): void {
    this.#stopped = true;
    this.#env.clock.clearTimeout(this.#pingTimer);
    this.#env.clock.clearTimeout(this.#deadTimer);
  }

  #schedule(): void {
    const delay = this.#everyMs * (0.9 + 0.1 * this.#env.random());
    this.#env.clock.clearTimeout(this.#pingTimer);
    this.#pingTimer = this.#env.clock.setTimeout(() => this.test(), delay);
  }

  #watch(): void {
    this.#heard = false;
    this.#deadTimer = this.#env.clock.setTimeout(() => {
      if (this.#stopped) return;
      if (this.#heard) this.#watch(); // data is still arriving in front of the pong
      else this.#hooks.dead();
    }, PONG_WITHIN_MS);
  }

  #alive(): void {
    if (this.#stopped) return;
    this.#testing = false;
    this.#env.clock.clearTimeout(this.#deadTimer);
    this.#schedule();
  }
}

/** Calls back when the wall clock jumped ahead of the timers: the machine slept. Returns how to stop. */
export function watchForSleep(env: Env, woke: () => void): () => void {
  let last = env.clock.wall();
  let handle: unknown;
  const tick = () => {
    const now = env.clock.wall();
    if (now - last > TICK_MS + JUMP_MS) woke();
    last = now;
    handle = env.clock.setTimeout(tick, TICK_MS);
  };
  handle = env.clock.setTimeout(tick, TICK_MS);
  return () => env.clock.clearTimeout(handle);
}
