import type { FileEnv, Transfer } from '../src/env.js';
import { ParleyError } from '../src/errors.js';
import { FakeWorld, MemoryStorage, type Call } from './fakes.js';
import { greet, harness } from './harness.js';

const PART = 4;
export const refused = (status: number, code: string, detail = code) => ({ status, body: { code, detail } });
export const fileOf = (text: string, name = 'notes.txt', type = 'text/plain', lastModified = 1) => new File([text], name, { type, lastModified });

/** A store and the service before it: parts of four bytes, above four bytes. */
export class FakeStore {
  readonly plans = new Map<string, { request: Record<string, unknown>; parts: Map<number, string>; thumbnail?: string }>();
  /** Uploads that are files now. */
  readonly files = new Set<string>();
  readonly transfers: Transfer[] = [];
  atOnce = 0;
  most = 0;
  signed = 0;
  /** Answers in the place of the store: a status, or what is thrown; undefined: it takes the body. */
  trouble: (url: string, count: number) => number | Error | undefined = () => undefined;
  /** Answers in the place of the service. */
  refuse: (call: Call) => { status: number; body: unknown } | undefined = () => undefined;
  hold: Promise<void> | undefined;

  route = (call: Call): { status?: number; body?: unknown } => {
    const no = this.refuse(call);
    if (no) return no;
    const [, id = '', what = ''] = /^\/api\/uploads\/([^/]+)\/?(\w*)$/.exec(call.path) ?? [];
    if (call.method === 'POST' && call.path === '/api/uploads') return { status: 201, body: this.#create(call.body as Record<string, unknown>) };
    const plan = this.plans.get(id);
    if (!plan) return refused(404, 'not_found');
    if (call.method === 'DELETE') this.plans.delete(id);
    if (call.method === 'DELETE') return { status: 204 };
    if (what === 'parts') {
      const { parts } = call.body as { parts: { number: number; sha256: string }[] };
      return { body: { parts: parts.map(({ number, sha256 }) => this.#request(id, String(number), sha256)) } };
    }
    if (what === 'complete') return this.#complete(id);
    if (this.files.has(id)) return refused(404, 'not_found');
    return { body: this.#plan(id) };
  };

  env: FileEnv = {
    sha256: (data) => Promise.resolve(`hash-of-${new TextDecoder().decode(data)}`),
    transfer: async (transfer) => {
      this.transfers.push(transfer);
      this.most = Math.max(this.most, ++this.atOnce);
      try {
        await this.hold;
        if (transfer.signal.aborted) throw new ParleyError('aborted', 'aborted');
        transfer.onProgress(1);
        const trouble = this.trouble(transfer.url, this.transfers.filter(({ url }) => sameAddress(url, transfer.url)).length);
        if (trouble instanceof Error) throw trouble;
        if (trouble) return { status: trouble, text: '{"detail":"the store is out of order"}' };
        const [, id = '', what = ''] = /^http:\/\/api\/store\/([^/]+)\/(\w+)/.exec(transfer.url) ?? [];
        const text = await transfer.body.text();
        const plan = this.plans.get(id)!;
        if (what === 'thumbnail') plan.thumbnail = text;
        else plan.parts.set(Number(what), text);
        return { status: 200, text: '' };
      } finally {
        this.atOnce--;
      }
    },
  };

  #create(request: Record<string, unknown>): object {
    const id = `upload-${this.plans.size + 1}`;
    this.plans.set(id, { request, parts: new Map() });
    return this.#plan(id);
  }

  #plan(id: string): object {
    const { request, parts } = this.plans.get(id)!;
    const size = Number(request.size);
    const partCount = size <= PART ? 1 : Math.ceil(size / PART);
    const put = partCount === 1 ? { put: this.#request(id, '1', 'x', size) } : {};
    const thumbnail = request.thumbnail as { size: number } | undefined;
    const small = thumbnail ? { thumbnail: this.#request(id, 'thumbnail', 'x', thumbnail.size) } : {};
    return { id, ...request, partSize: PART, partCount, partsThere: [...parts.keys()].sort(), ...put, ...small };
  }

  #request(id: string, what: string, sha256: string, size = PART): object {
    return { method: 'PUT', url: `/store/${id}/${what}?signature=${++this.signed}`, headers: [{ name: 'x-hash', value: sha256 }], part: 1, size };
  }

  #complete(id: string): { status?: number; body?: unknown } {
    const { request, parts } = this.plans.get(id)!;
    const whole = [...parts].sort(([a], [b]) => a - b).map(([, text]) => text).join('');
    if (whole.length !== request.size) return refused(409, 'conflict', 'parts are missing');
    this.files.add(id);
    const attachment = { id, name: request.name, size: request.size, contentType: request.contentType, sha256: whole, width: 0, height: 0 };
    return { body: { attachment, descriptor: `a1.${id}`, channelId: request.channelId } };
  }
}

const sameAddress = (a: string, b: string) => a.split('?')[0] === b.split('?')[0];

export async function ready(files: Partial<FileEnv> = {}, uploads = new MemoryStorage(), store = new FakeStore()) {
  const world = new FakeWorld({ files: { ...store.env, ...files } });
  world.route = store.route;
  const made = harness({ uploads, api: 'http://api' }, world);
  made.client.connect();
  const socket = await greet(world);
  socket.answersPings = true;
  return { ...made, store, socket, uploads };
}

/** Lets time pass until it is settled: reading a blob takes turns of the real loop. */
export async function passing<T>(world: FakeWorld, promise: Promise<T>): Promise<T> {
  let settled = false;
  const end = () => (settled = true);
  promise.then(end, end);
  while (!settled) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    await world.clock.advance(500);
  }
  return promise;
}

export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Lets turns pass until this holds: reading a blob takes turns of the real loop. */
export async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !holds(); i++) await turns(1);
  if (!holds()) throw new Error('it did not come to that');
}
