import { describe, expect, it } from 'vitest';
import type { FileEnv, Transfer } from '../src/env.js';
import { ParleyError } from '../src/errors.js';
import type { UploadProgress } from '../src/upload.js';
import { FakeWorld, MemoryStorage, settle, type Call } from './fakes.js';
import { greet, harness } from './harness.js';

const PART = 4;
const refused = (status: number, code: string, detail = code) => ({ status, body: { code, detail } });
const fileOf = (text: string, name = 'notes.txt', type = 'text/plain', lastModified = 1) => new File([text], name, { type, lastModified });

/** A store and the service before it: parts of four bytes, above four bytes. */
class FakeStore {
  readonly plans = new Map<string, { request: Record<string, unknown>; parts: Map<number, string>; thumbnail?: string }>();
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
    const attachment = { id, name: request.name, size: request.size, contentType: request.contentType, sha256: whole, width: 0, height: 0 };
    return { body: { attachment, descriptor: `a1.${id}`, channelId: request.channelId } };
  }
}

const sameAddress = (a: string, b: string) => a.split('?')[0] === b.split('?')[0];

async function ready(files: Partial<FileEnv> = {}, uploads = new MemoryStorage()) {
  const store = new FakeStore();
  const world = new FakeWorld({ files: { ...store.env, ...files } });
  world.route = store.route;
  const made = harness({ uploads, api: 'http://api' }, world);
  made.client.connect();
  const socket = await greet(world);
  socket.answersPings = true;
  return { ...made, store, socket, uploads };
}

/** Lets time pass until it is settled: reading a blob takes turns of the real loop. */
async function passing<T>(world: FakeWorld, promise: Promise<T>): Promise<T> {
  let settled = false;
  const end = () => (settled = true);
  promise.then(end, end);
  while (!settled) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    await world.clock.advance(500);
  }
  return promise;
}

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

describe('an upload', () => {
  it('of a small file goes in one request, with its hash', async () => {
    const { world, client, store } = await ready();
    const progress: UploadProgress[] = [];
    const done = await passing(world, client.upload('general', fileOf('abc'), { onProgress: (each) => progress.push(each) }));
    expect(done).toMatchObject({ descriptor: 'a1.upload-1', channelId: 'general', attachment: { sha256: 'abc', name: 'notes.txt' } });
    expect(store.plans.get('upload-1')!.request).toMatchObject({ contentType: 'text/plain', sha256: 'hash-of-abc', size: 3 });
    expect(store.transfers.map(({ url, headers }) => [url, headers])).toEqual([['http://api/store/upload-1/1?signature=1', [['x-hash', 'x']]]]);
    expect(progress.map(({ phase }) => phase)).toEqual(['preparing', 'sending', 'sending', 'checking']);
    expect(progress.map(({ sent }) => sent)).toEqual([0, 1, 3, 3]);
    expect(client.files.unfinished('general')).toEqual([]);
  });

  it('of a large file goes in parts, one after the other, each signed with its hash', async () => {
    const { world, client, store } = await ready();
    const text = 'abcdefghijklmnopqrstuvwxy';
    const done = await passing(world, client.upload('general', fileOf(text)));
    expect(done.attachment.sha256).toBe(text);
    expect([store.transfers.length, store.most]).toEqual([7, 1]);
    expect(store.transfers[0]!.headers).toEqual([['x-hash', 'hash-of-abcd']]);
  });

  it.each([[3, 3], [100, 6], [0, 1], [Number.NaN, 1]])('has as many parts under way as it is asked for: %d', async (atOnce, most) => {
    const { world, client, store } = await ready();
    const text = 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz';
    const done = await passing(world, client.upload('general', fileOf(text), { atOnce }));
    expect(done.attachment.sha256).toBe(text);
    expect([store.transfers.length, store.most]).toEqual([13, most]);
  });

  it('sends only what is missing where the server has not all of it at the end', async () => {
    const { world, client, store } = await ready();
    let lost = false;
    store.refuse = (call) => {
      if (call.path.endsWith('/complete') && !lost) {
        lost = true;
        store.plans.get('upload-1')!.parts.delete(2);
      }
      return undefined;
    };
    const progress: UploadProgress[] = [];
    const done = await passing(world, client.upload('general', fileOf('abcdefghijkl'), { onProgress: (each) => progress.push(each) }));
    expect(done.attachment.sha256).toBe('abcdefghijkl');
    expect(store.transfers.map(({ url }) => /\/(\d)\?/.exec(url)![1])).toEqual(['1', '2', '3', '2']);
    expect(store.plans.size).toBe(1);
    expect(progress.at(-1)).toEqual({ phase: 'checking', sent: 12, total: 12 });
    expect(Math.max(...progress.map(({ sent }) => sent))).toBe(12);
  });

  it('of which a part is lost again and again ends with what the server says', async () => {
    const { world, client, store } = await ready();
    store.refuse = (call) => {
      if (call.path.endsWith('/complete')) store.plans.get('upload-1')!.parts.delete(2);
      return undefined;
    };
    await expect(passing(world, client.upload('general', fileOf('abcdefghijkl')))).rejects.toMatchObject({ code: 'conflict' });
    expect(store.transfers.map(({ url }) => /\/(\d)\?/.exec(url)![1])).toEqual(['1', '2', '3', '2', '2']);
  });

  it('that was refused at the end is not sent again', async () => {
    const { world, client, store } = await ready();
    store.refuse = (call) => {
      if (!call.path.endsWith('/complete')) return undefined;
      store.plans.delete('upload-1');
      return refused(409, 'conflict', 'the content is not what contentType says; the upload was removed');
    };
    const end = passing(world, client.upload('general', fileOf('abcdefghijkl')));
    await expect(end).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('contentType') as string });
    expect(store.transfers).toHaveLength(3);
  });

  it('tries a part again after a while, over a fresh address', async () => {
    const { world, client, store } = await ready();
    const troubles = [new ParleyError('unavailable', 'gone'), 503, 408, 429, 403]; // 408: too slow; 429: too many of one user's
    store.trouble = (url, count) => (url.includes('/2?') ? troubles[count - 1] : undefined);
    const progress: number[] = [];
    const done = await passing(world, client.upload('general', fileOf('abcdefghij'), { onProgress: ({ sent }) => progress.push(sent) }));
    expect(done.attachment.sha256).toBe('abcdefghij');
    const second = store.transfers.filter(({ url }) => url.includes('/2?')).map(({ url }) => url);
    expect(second).toHaveLength(6);
    expect(new Set(second).size).toBeGreaterThan(2);
    expect(Math.max(...progress)).toBe(10);
  });

  it('that the store will not have ends, and is begun anew the next time', async () => {
    const { world, client, store } = await ready();
    store.trouble = () => 403;
    const end = passing(world, client.upload('general', fileOf('abcdefghij')));
    await expect(end).rejects.toMatchObject({ code: 'bad_request', status: 403, message: 'the store is out of order' });
    expect(client.files.unfinished('general')).toEqual([]);
    expect(store.atOnce).toBe(0);
  });

  it('goes on after a reload with the parts that are missing', async () => {
    const uploads = new MemoryStorage();
    const first = await ready({}, uploads);
    first.store.trouble = (url) => (url.includes('/3?') ? new ParleyError('unavailable', 'no network') : undefined);
    const file = fileOf('abcdefghijkl');
    await expect(passing(first.world, first.client.upload('general', file))).rejects.toMatchObject({ code: 'unavailable' });
    expect(first.client.files.unfinished('general')).toMatchObject([{ id: 'upload-1', name: 'notes.txt', size: 12 }]);

    const second = await ready({}, uploads);
    second.store.plans.set('upload-1', first.store.plans.get('upload-1')!);
    const progress: number[] = [];
    const onProgress = ({ sent }: UploadProgress) => progress.push(sent);
    const done = await passing(second.world, second.client.upload('general', fileOf('abcdefghijkl'), { onProgress }));
    expect(done.attachment.sha256).toBe('abcdefghijkl');
    expect(second.store.transfers.map(({ url }) => url.split('?')[0])).toEqual(['http://api/store/upload-1/3']);
    expect(progress.slice(0, 2)).toEqual([0, 8]);
    expect(second.client.files.unfinished('general')).toEqual([]);
  });

  it('is another one for another file, channel, or when the server has forgotten it', async () => {
    const { world, client, store, uploads } = await ready();
    store.trouble = () => new ParleyError('unavailable', 'no network');
    await expect(passing(world, client.upload('general', fileOf('abc')))).rejects.toMatchObject({ code: 'unavailable' });
    expect(uploads.items.size).toBe(1);
    store.trouble = () => undefined;
    await passing(world, client.upload('general', fileOf('abd', 'notes.txt', 'text/plain', 2)));
    expect(client.files.unfinished('general').map(({ id }) => id)).toEqual(['upload-1']);
    store.plans.delete('upload-1');
    store.plans.set('other', { request: {}, parts: new Map() });
    const done = await passing(world, client.upload('general', fileOf('abc')));
    expect(done.attachment.sha256).toBe('abc');
    expect(client.files.unfinished('general')).toEqual([]);
  });

  it('that is given up is removed, here and there', async () => {
    const { client, store, world } = await ready();
    let go = () => {};
    store.hold = new Promise((resolve) => (go = resolve));
    const abort = new AbortController();
    const upload = client.upload('general', fileOf('abcdefghijklmnop'), { signal: abort.signal });
    const ended = expect(upload).rejects.toMatchObject({ code: 'aborted' });
    await turns();
    expect(store.transfers).toHaveLength(1);
    abort.abort();
    go();
    await turns();
    await world.clock.advance(100);
    await ended;
    expect(store.plans.size).toBe(0);
    expect(client.files.unfinished('general')).toEqual([]);
    expect(store.transfers).toHaveLength(1);
    await expect(client.upload('general', fileOf('abc'), { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  it('rejects with what the server says, and does not ask twice', async () => {
    const { world, client, store } = await ready();
    store.refuse = () => refused(413, 'too_large', 'at most 5 GiB');
    await expect(passing(world, client.upload('general', fileOf('abc')))).rejects.toMatchObject({ code: 'too_large', message: 'at most 5 GiB' });
    expect(world.called('/api/uploads')).toHaveLength(1);
    await expect(client.upload('general', fileOf(''))).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('is completed again when the answer was lost', async () => {
    const { world, client, store } = await ready();
    let lost = 2;
    store.refuse = (call) => (call.path.endsWith('/complete') && lost-- > 0 ? refused(503, 'unavailable') : undefined);
    expect((await passing(world, client.upload('general', fileOf('abc')))).descriptor).toBe('a1.upload-1');
    expect(world.called('/complete')).toHaveLength(3);
  });
});

describe('a thumbnail', () => {
  const thumbnail = { blob: new Blob(['tiny'], { type: 'image/webp' }), width: 512, height: 256 };
  const picture = () => Promise.resolve({ width: 4000, height: 2000, thumbnail });
  const cat = () => fileOf('cat', 'cat.png', 'image/png');

  it('is announced and sent with its file', async () => {
    const { world, client, store } = await ready({ picture });
    await passing(world, client.upload('general', cat()));
    const plan = store.plans.get('upload-1')!;
    const announced = { size: 4, contentType: 'image/webp', width: 512, height: 256 };
    expect(plan.request).toMatchObject({ width: 4000, height: 2000, thumbnail: announced });
    expect(plan.thumbnail).toBe('tiny');
  });

  it('is left out where the server takes none', async () => {
    const { world, client, store } = await ready({ picture });
    const unknown = refused(400, 'bad_request', 'width: there is no such field');
    store.refuse = (call) => ((call.body as { thumbnail?: object } | undefined)?.thumbnail ? unknown : undefined);
    const done = await passing(world, client.upload('general', cat()));
    expect(done.attachment.sha256).toBe('cat');
    expect(store.plans.get('upload-1')!.thumbnail).toBeUndefined();
  });
});

describe('a message with a file', () => {
  const attachment = { id: 'f1', name: 'cat.png', size: 3, contentType: 'image/png', sha256: 'x', width: 4, height: 2 };
  const descriptor = { attachment, descriptor: 'a1.f1', channelId: 'general' };

  it('carries its descriptor, shows the file at once, and needs no text', async () => {
    const { client, socket } = await ready();
    const id = client.send('general', '', { attachments: [descriptor] });
    await settle();
    expect(socket.last('send').message).toMatchObject({ id, content: '', type: 'image', attachments: ['a1.f1'] });
    expect(client.channel('general')!.messages.at(-1)).toMatchObject({ status: 'sending', attachments: [attachment] });
    socket.push({ type: 'ack', ref: socket.last('send').ref, id, channelId: 'general', seq: 11, duplicate: false });
    await settle();
    expect(client.channel('general')!.messages.at(-1)).toMatchObject({ status: 'sent', attachments: [attachment] });
    expect(() => client.send('general', '')).toThrow(/empty/);
    expect(() => client.send('general', '   ', { attachments: [descriptor] })).toThrow(/empty/);
  });

  it('of others has it; a deleted one has not', async () => {
    const { client, socket } = await ready();
    const message = { id: 'm', channelId: 'general', senderId: 'ada', senderName: 'Ada', content: '', type: 'image', seq: 11, attachments: [attachment] };
    socket.push({ type: 'event', channelId: 'general', seq: 11, prev: 10, id: 'm', actorId: 'ada', message });
    await settle();
    expect(client.channel('general')!.messages[0]!.attachments).toEqual([attachment]);
    socket.push({ type: 'event', channelId: 'general', seq: 12, prev: 11, id: 'd', actorId: 'ada', messageDeleted: { targetSeq: 11, targetId: 'm' } });
    await settle();
    expect(client.channel('general')!.messages[0]).toMatchObject({ deleted: true, attachments: [] });
  });
});
