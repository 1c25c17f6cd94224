/** Everything the SDK takes from the outside world. Tests and other runtimes pass their own. */
import { platformFiles } from './platform.js';

/** Time and timers. All values are milliseconds. */
export interface Clock {
  /** Wall clock: milliseconds since 1970. May jump. */
  wall(): number;
  /** Monotonic clock of any origin. */
  mono(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The part of the browser's WebSocket that is used. */
export interface SocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

/** The part of Web Storage that is used: `sessionStorage` and `localStorage` fit. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What the host knows about its network and its sleep. */
export interface Signals {
  /** False only when the host is sure that there is no network. */
  isOnline(): boolean;
  /** Calls back on `online`, `offline`, and `wake` (the page became visible or came back). Returns how to stop. */
  listen(on: (signal: 'online' | 'offline' | 'wake') => void): () => void;
  /** Calls back when somebody uses the device: a key, a pointer, a wheel. Returns how to stop. Absent where nobody can. */
  input?: (on: () => void) => () => void;
}

/** One body on its way to a signed address. */
export interface Transfer {
  method: string;
  url: string;
  headers: readonly (readonly [string, string])[];
  body: Blob;
  signal: AbortSignal;
  /** Bytes of the body that were sent so far. */
  onProgress: (sent: number) => void;
}

/** What is known of an image. */
export interface Picture {
  width: number;
  height: number;
  /** At most 512 pixels across and down, and 256 KiB. */
  thumbnail?: { blob: Blob; width: number; height: number };
}

/** What the host can do with files. */
export interface FileEnv {
  /** Sends a body. Rejects with a ParleyError: `unavailable` when nobody answers, `aborted`. */
  transfer(transfer: Transfer): Promise<{ status: number; text: string }>;
  /** In hex. Absent where the platform cannot. */
  sha256?: (data: ArrayBuffer) => Promise<string>;
  /** Looks at an image. Undefined: it is none that can be shown. */
  picture?: (file: Blob) => Promise<Picture | undefined>;
  /**
   * Takes what has this name for this page, until it is let go of or the page ends. Undefined: another page of this origin has it. Absent where the platform
   * cannot say.
   */
  claim?: (name: string) => Promise<(() => Promise<void>) | undefined>;
}

export interface Env {
  clock: Clock;
  /** Uniform in [0, 1). */
  random(): number;
  randomBytes(count: number): Uint8Array;
  openSocket(url: string, protocols: string[]): SocketLike;
  fetch(url: string, init: RequestInit): Promise<Response>;
  signals: Signals;
  /** Turns a raw deflate stream into text; absent where the platform cannot. */
  inflate?: (data: ArrayBuffer) => Promise<string>;
  /** Absent where files cannot be sent. */
  files?: FileEnv;
}

/** The environment of a browser (also of a worker, and of Node from version 22 on). */
export function browserEnv(): Env {
  const inflate = platformInflate();
  const files = platformFiles();
  return {
    clock: platformClock(),
    random: () => Math.random(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    openSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as SocketLike,
    fetch: (url, init) => fetch(url, init),
    signals: platformSignals(),
    ...(inflate ? { inflate } : {}),
    ...(files ? { files } : {}),
  };
}

function platformClock(): Clock {
  return {
    wall: () => Date.now(),
    mono: () => performance.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (handle) => clearTimeout(handle as number),
  };
}

function platformSignals(): Signals {
  return {
    isOnline: () => typeof navigator === 'undefined' || navigator.onLine !== false,
    listen: (on) => {
      if (typeof window === 'undefined') return () => {};
      const stops: (() => void)[] = [];
      const add = (target: EventTarget, name: string, run: () => void) => {
        target.addEventListener(name, run);
        stops.push(() => target.removeEventListener(name, run));
      };
      add(window, 'online', () => on('online'));
      add(window, 'offline', () => on('offline'));
      add(window, 'pageshow', () => on('wake'));
      add(document, 'visibilitychange', () => {
        if (document.visibilityState === 'visible') on('wake');
      });
      return () => stops.forEach((stop) => stop());
    },
    ...(typeof window === 'undefined' ? {} : { input: listenToInput }),
  };
}

function listenToInput(on: () => void): () => void {
  const names = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'];
  const options = { capture: true, passive: true };
  names.forEach((name) => window.addEventListener(name, on, options));
  return () => names.forEach((name) => window.removeEventListener(name, on, options));
}

function platformInflate(): Env['inflate'] {
  try {
    new DecompressionStream('deflate-raw'); // throws where the format is unknown
  } catch {
    return undefined;
  }
  return (data) => {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    return readText(stream.getReader());
  };
}

/** Larger messages are not unpacked. Bytes. */
const MAX_INFLATED = 16 * 1024 * 1024;

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > MAX_INFLATED) {
      await reader.cancel();
      throw new Error('the message is too large');
    }
    text += decoder.decode(value, { stream: true });
  }
}
