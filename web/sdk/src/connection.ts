import { backoff, RECONNECT, type BackoffOptions } from './backoff.js';
import { CLOSE, planAfterClose, RETRY, type RetryPlan, type StopReason } from './close.js';
import { Emitter } from './emitter.js';
import type { Env } from './env.js';
import { asError, ParleyError } from './errors.js';
import { watchForSleep } from './heartbeat.js';
import { Session, type SessionEnd } from './session.js';
import { TokenRenewal, type TokenCache } from './token.js';
import { timeOf, type ClientBody, type Cursor, type Device, type Ready, type ServerFrame } from './wire.js';

/**
 * Where a connection stands.
 * `idle`: never started. `connecting`: getting a token, opening the socket. `authenticating`: hello was sent.
 * `online`: ready. `waiting`: will try again at `retryAt`. `offline`: the same, and the host reports no network.
 * `closed`: ended, for `reason`; `connect()` starts again.
 */
export type Status = 'idle' | 'connecting' | 'authenticating' | 'online' | 'waiting' | 'offline' | 'closed';

/** Which states may follow which. Anything else is a bug and throws. */
export const TRANSITIONS: Readonly<Record<Status, readonly Status[]>> = {
  idle: ['connecting', 'closed'],
  connecting: ['authenticating', 'waiting', 'offline', 'closed'],
  authenticating: ['online', 'waiting', 'offline', 'closed'],
  online: ['waiting', 'offline', 'closed'],
  waiting: ['connecting', 'offline', 'closed'],
  offline: ['connecting', 'waiting', 'closed'],
  closed: ['connecting'],
};

export interface ConnectionState {
  readonly status: Status;
  /** Attempts in a row that have failed; 0 while online. */
  readonly attempt: number;
  /** Wall clock time of the next attempt, in milliseconds since 1970; only in `waiting` and `offline`. */
  readonly retryAt?: number;
  /** Why it is closed; only in `closed`. */
  readonly reason?: StopReason;
  /** The last error, where there was one. */
  readonly error?: ParleyError;
}

export interface ConnectionEvents {
  state: ConnectionState;
  ready: Ready;
  frame: ServerFrame;
  /** The session is gone; what was under way is undecided. */
  lost: undefined;
  error: ParleyError;
}

export interface ConnectionOptions {
  env: Env;
  /** WebSocket address: `wss://host/ws`. */
  url: string;
  tokens: TokenCache;
  /** Name and version for the server's log, at most 64 bytes. */
  client: string;
  cursors: () => Cursor[];
  device: Device;
  reconnect?: BackoffOptions;
}

/** A session that lasted this long was a good one: the next failure starts with the first delay again. */
const STABLE_AFTER_MS = 10_000;

/** Keeps one session alive: connects, greets, renews the token, comes back after every loss. */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #options: ConnectionOptions;
  readonly #env: Env;
  readonly #renewal: TokenRenewal;
  #state: ConnectionState = { status: 'idle', attempt: 0 };
  #session: Session | undefined;
  /** Rises with each start and stop, so that what belongs to an older attempt is recognised. */
  #generation = 0;
  #failures = 0;
  #readyAt = 0;
  #tokenRefused = false;
  #serverOffset = 0;
  #hintUntil: number | undefined;
  #timer: unknown;
  #unlisten: (() => void) | undefined;

  constructor(options: ConnectionOptions) {
    super();
    this.#options = options;
    this.#env = options.env;
    this.#renewal = new TokenRenewal(this.#env, () => this.renewToken());
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Starts, or tries again at once when it is waiting. */
  connect(): void {
    const { status } = this.#state;
    if (status === 'connecting' || status === 'authenticating' || status === 'online') return;
    if (status === 'idle' || status === 'closed') this.#begin();
    this.#attempt();
  }

  /** Ends for good. */
  close(): void {
    if (this.#state.status !== 'closed') this.#stop('stopped');
  }

  /** Sends a frame and resolves with its answer. Rejects with `connection_lost` when not online. */
  request(body: ClientBody): Promise<ServerFrame> {
    if (!this.#session?.isReady) return Promise.reject(new ParleyError('connection_lost', 'not connected'));
    return this.#session.request(body);
  }

  /** Gets a fresh token and renews the session with it. */
  async renewToken(): Promise<void> {
    const generation = this.#generation;
    const token = await this.#options.tokens.fresh('renew');
    if (generation !== this.#generation) return;
    const answer = await this.request({ type: 'auth', token });
    if (answer.type === 'authenticated') this.#noteExpiry(answer.tokenExpiresAt);
  }

  #begin(): void {
    this.#failures = 0;
    this.#tokenRefused = false;
    const unlisten = this.#env.signals.listen((signal) => this.#onSignal(signal));
    const unwatch = watchForSleep(this.#env, () => this.#onSignal('wake'));
    this.#unlisten = () => {
      unlisten();
      unwatch();
    };
  }

  #attempt(): void {
    this.#env.clock.clearTimeout(this.#timer);
    const generation = ++this.#generation;
    this.#to({ status: 'connecting', attempt: this.#failures });
    const token = this.#tokenRefused ? this.#options.tokens.fresh('refused') : this.#options.tokens.get();
    token.then(
      (value) => generation === this.#generation && this.#open(value, generation),
      (error: unknown) => generation === this.#generation && this.#tokenFailed(error),
    );
  }

  #open(token: string, generation: number): void {
    const mine = <A>(run: (argument: A) => void) => (argument: A) => {
      if (generation === this.#generation) run(argument);
    };
    const { url, client, cursors, device } = this.#options;
    const compress = this.#env.inflate !== undefined;
    const hello = (): ClientBody => ({ type: 'hello', token, cursors: cursors(), client, compress, device });
    this.#session = new Session(this.#env, url, hello, {
      opened: mine<void>(() => this.#to({ status: 'authenticating', attempt: this.#failures })),
      ready: mine((ready) => this.#ready(ready)),
      frame: mine((frame) => this.#frame(frame)),
      ended: mine((end) => this.#ended(end)),
      report: mine((error) => this.emit('error', error)),
    });
  }

  #tokenFailed(thrown: unknown): void {
    const error = asError(thrown, 'unauthenticated');
    this.emit('error', error);
    if ((thrown as { fatal?: unknown } | undefined)?.fatal === true) this.#stop('unauthenticated', error);
    else this.#retry(RETRY, error);
  }

  #ready(ready: Ready): void {
    this.#readyAt = this.#env.clock.mono();
    this.#tokenRefused = false;
    this.#hintUntil = undefined;
    this.#serverOffset = ready.serverTime ? timeOf(ready.serverTime) - this.#env.clock.wall() : 0;
    this.#noteExpiry(ready.tokenExpiresAt);
    this.#to({ status: 'online', attempt: 0 });
    this.emit('ready', ready);
  }

  #noteExpiry(expiresAt: string | undefined): void {
    if (!expiresAt) return;
    const life = timeOf(expiresAt) - (this.#env.clock.wall() + this.#serverOffset);
    this.#options.tokens.endsIn(life);
    this.#renewal.schedule(life);
  }

  #frame(frame: ServerFrame): void {
    if (frame.type !== 'reconnect') return this.emit('frame', frame);
    this.#hintUntil = this.#env.clock.mono() + frame.afterMs;
    const session = this.#session; // the server closes; if it does not, this side leaves when the time has come
    this.#env.clock.setTimeout(() => session?.close(), frame.afterMs);
  }

  #ended(end: SessionEnd): void {
    this.#session = undefined;
    this.#renewal.stop();
    if (end.wasReady) this.emit('lost', undefined);
    if (end.wasReady && this.#env.clock.mono() - this.#readyAt >= STABLE_AFTER_MS) this.#failures = 0;
    const error = end.error ?? new ParleyError('connection_lost', end.reason || `closed with ${end.code}`);
    const plan = planAfterClose(this.#hintUntil === undefined ? end.code : CLOSE.restart, this.#tokenRefused);
    if (plan.kind === 'stop') {
      this.emit('error', error);
      return this.#stop(plan.reason, error);
    }
    this.#retry(plan, error);
  }

  #retry(plan: RetryPlan, error: ParleyError): void {
    if (plan.freshToken) this.#tokenRefused = true;
    const online = this.#env.signals.isOnline();
    const delay = this.#delay(plan, online);
    this.#failures++;
    const retryAt = this.#env.clock.wall() + delay;
    this.#to({ status: online ? 'waiting' : 'offline', attempt: this.#failures, retryAt, error });
    this.#env.clock.clearTimeout(this.#timer);
    this.#timer = this.#env.clock.setTimeout(() => this.#attempt(), delay);
  }

  /** "At once" holds for the first time only: a server that keeps closing is not hammered. */
  #delay(plan: RetryPlan, online: boolean): number {
    const options = this.#options.reconnect ?? RECONNECT;
    if (!online) return options.max;
    const hint = this.#hintUntil;
    this.#hintUntil = undefined;
    if (plan.delay === 'hint' && hint !== undefined) return Math.max(0, hint - this.#env.clock.mono());
    if (plan.delay === 'now' && this.#failures === 0) return 0;
    const random = this.#env.random();
    return Math.max(backoff(this.#failures, options, random), plan.floorMs * (1 + options.jitter * random));
  }

  #onSignal(signal: 'online' | 'offline' | 'wake'): void {
    const { status, error } = this.#state;
    if (status === 'online') return this.#session?.test();
    if (status !== 'waiting' && status !== 'offline') return;
    if (signal === 'offline') {
      if (status === 'waiting') this.#retry(RETRY, error ?? new ParleyError('connection_lost', 'no network'));
    } else if (signal === 'online' || this.#env.signals.isOnline()) {
      this.#failures = 0;
      this.#attempt();
    }
  }

  #stop(reason: StopReason, error?: ParleyError): void {
    this.#generation++;
    this.#env.clock.clearTimeout(this.#timer);
    this.#renewal.stop();
    this.#unlisten?.();
    const session = this.#session;
    this.#session = undefined;
    const wasOnline = this.#state.status === 'online';
    session?.close();
    this.#to({ status: 'closed', attempt: 0, reason, ...(error ? { error } : {}) });
    if (wasOnline) this.emit('lost', undefined);
  }

  #to(next: ConnectionState): void {
    if (!TRANSITIONS[this.#state.status].includes(next.status)) {
      throw new Error(`parley: no way from ${this.#state.status} to ${next.status}`);
    }
    this.#state = next;
    this.emit('state', next);
  }
}
