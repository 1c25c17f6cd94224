import type { Env, SocketLike } from './env.js';
import { asError, ParleyError, type ErrorCode } from './errors.js';
import { CLOSE } from './close.js';
import { Heartbeat } from './heartbeat.js';
import { decodeFrames, encodeFrame, SUBPROTOCOL, type ClientBody, type Ready, type ServerFrame } from './wire.js';

/** From the first byte to the open WebSocket, and from there to `ready`. */
const OPEN_WITHIN_MS = 10_000;
const READY_WITHIN_MS = 10_000;
/** A request without an answer for this long is given up; the gateway itself gives up a publish after 5 s. */
const ANSWER_WITHIN_MS = 10_000;

/** How a session ended. */
export interface SessionEnd {
  /** WebSocket close code; 1006 when the SDK gave the connection up or it broke. */
  code: number;
  reason: string;
  /** True when the session had been ready. */
  wasReady: boolean;
  /** The last error that concerned the connection as a whole. */
  error?: ParleyError;
}

export interface SessionHooks {
  /** The socket is open and hello is on its way. */
  opened: () => void;
  ready: (ready: Ready) => void;
  /** Every frame that answers nothing. */
  frame: (frame: ServerFrame) => void;
  ended: (end: SessionEnd) => void;
  /** Something odd that loses nothing. */
  report: (error: ParleyError) => void;
}

interface Pending {
  resolve: (frame: ServerFrame) => void;
  reject: (error: ParleyError) => void;
  timer: unknown;
}

/** One WebSocket connection, from opening to its end. It is used once. */
export class Session {
  readonly #env: Env;
  readonly #socket: SocketLike;
  readonly #hooks: SessionHooks;
  readonly #pending = new Map<number, Pending>();
  #nextRef = 1;
  #phase: 'opening' | 'greeting' | 'ready' | 'ended' = 'opening';
  #deadline: unknown;
  #heartbeat: Heartbeat | undefined;
  #error: ParleyError | undefined;
  /** Frames wait here while a compressed one before them is unpacked. */
  #inbound: Promise<void> | undefined;

  /** `hello` is asked for when the socket is open, so that it carries the cursors of that moment. */
  constructor(env: Env, url: string, hello: () => ClientBody, hooks: SessionHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#socket = env.openSocket(url, [SUBPROTOCOL]);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#greet(hello());
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#end(event.code, event.reason);
    this.#socket.onerror = () => {}; // a close event follows
    this.#expect(OPEN_WITHIN_MS, 'the connection did not open in time');
  }

  get isReady(): boolean {
    return this.#phase === 'ready';
  }

  /** Sends a frame and resolves with its answer; rejects with the server's error, `timeout` or `connection_lost`. */
  request(body: ClientBody, withinMs = ANSWER_WITHIN_MS): Promise<ServerFrame> {
    if (this.#phase === 'ended') return Promise.reject(new ParleyError('connection_lost', 'not connected'));
    const ref = this.#nextRef;
    this.#nextRef = ref >= 0xffff_ffff ? 1 : ref + 1;
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#pending.delete(ref);
        reject(new ParleyError('timeout', `no answer to ${body.type} in ${withinMs} ms`));
      };
      const timer = withinMs === Infinity ? undefined : this.#env.clock.setTimeout(expire, withinMs);
      this.#pending.set(ref, { resolve, reject, timer });
      this.#socket.send(encodeFrame(ref, body));
    });
  }

  /** Pings now, and ends the session when nothing comes back. */
  test(): void {
    this.#heartbeat?.test();
  }

  /** Ends the session from this side. */
  close(code = 1000, reason = ''): void {
    if (this.#phase === 'ended') return;
    this.#socket.close(code, reason);
    this.#end(code, reason);
  }

  #greet(hello: ClientBody): void {
    if (this.#phase !== 'opening') return;
    this.#phase = 'greeting';
    this.#expect(READY_WITHIN_MS, 'the server did not answer hello in time');
    this.#hooks.opened();
    // The deadline above covers it; an error answer is followed by a close with its own code.
    this.request(hello, Infinity).catch((error: unknown) => (this.#error = asError(error)));
  }

  #receive(data: unknown): void {
    this.#heartbeat?.heard();
    if (typeof data === 'string' && !this.#inbound) return this.#read(data);
    const before = this.#inbound ?? Promise.resolve();
    const text = () => (typeof data === 'string' ? data : this.#unpack(data as ArrayBuffer));
    const mine = before.then(text).then(
      (ready) => this.#read(ready),
      () => this.#hooks.report(new ParleyError('bad_frame', 'a compressed frame could not be read')),
    ).finally(() => {
      if (this.#inbound === mine) this.#inbound = undefined;
    });
    this.#inbound = mine;
  }

  #unpack(data: ArrayBuffer): Promise<string> {
    return this.#env.inflate ? this.#env.inflate(data) : Promise.reject(new Error('cannot inflate'));
  }

  #read(text: string): void {
    const bad = () => this.#hooks.report(new ParleyError('bad_frame', 'the server sent a line that is not a frame'));
    for (const frame of decodeFrames(text, bad)) {
      if (this.#phase === 'ended') return;
      this.#dispatch(frame);
    }
  }

  #dispatch(frame: ServerFrame): void {
    if (frame.type === 'ready') this.#becomeReady(frame);
    const pending = frame.ref ? this.#pending.get(frame.ref) : undefined;
    if (pending) this.#settle(frame, pending);
    else if (frame.type === 'error') this.#noteError(frame);
    else if (frame.type !== 'ready' && frame.type !== 'pong') this.#hooks.frame(frame);
  }

  #becomeReady(ready: Ready): void {
    if (this.#phase !== 'greeting') return;
    this.#phase = 'ready';
    this.#env.clock.clearTimeout(this.#deadline);
    this.#heartbeat = new Heartbeat(this.#env, ready.heartbeatMs, {
      ping: () => this.request({ type: 'ping' }, Infinity),
      dead: () => this.#giveUp('the server does not answer'),
    });
    this.#hooks.ready(ready);
  }

  #settle(frame: ServerFrame, pending: Pending): void {
    this.#pending.delete(frame.ref);
    this.#env.clock.clearTimeout(pending.timer);
    if (frame.type === 'error') pending.reject(errorOf(frame));
    else pending.resolve(frame);
  }

  #noteError(frame: ServerFrame & { type: 'error' }): void {
    this.#error = errorOf(frame);
    this.#hooks.report(this.#error);
  }

  #expect(withinMs: number, otherwise: string): void {
    this.#env.clock.clearTimeout(this.#deadline);
    this.#deadline = this.#env.clock.setTimeout(() => this.#giveUp(otherwise), withinMs);
  }

  /** Does not wait for the close event, which takes minutes on a dead network. */
  #giveUp(reason: string): void {
    if (this.#phase === 'ended') return;
    this.#socket.close();
    this.#end(CLOSE.abnormal, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#phase === 'ended') return;
    const wasReady = this.#phase === 'ready';
    this.#phase = 'ended';
    this.#env.clock.clearTimeout(this.#deadline);
    this.#heartbeat?.stop();
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    const lost = new ParleyError('connection_lost', reason || `the connection closed (${code})`);
    for (const pending of this.#pending.values()) {
      this.#env.clock.clearTimeout(pending.timer);
      pending.reject(lost);
    }
    this.#pending.clear();
    this.#hooks.ended({ code, reason, wasReady, ...(this.#error ? { error: this.#error } : {}) });
  }
}

function errorOf(frame: { code: string; message: string; retryMs: number }): ParleyError {
  return new ParleyError(frame.code as ErrorCode, frame.message, frame.retryMs);
}
