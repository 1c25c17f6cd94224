import { describe, expect, it } from 'vitest';
import { ParleyError } from '../src/errors.js';
import type { UploadProgress } from '../src/upload.js';
import { MemoryStorage, settle } from './fakes.js';
import { fileOf, passing, ready, refused, turns } from './fakeStore.js';

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

  it('is begun again under the same clientId when the answer was lost', async () => {
    const { world, client, store } = await ready();
    let lost = 2;
    store.refuse = (call) => (call.path === '/api/uploads' && lost-- > 0 ? refused(503, 'unavailable') : undefined);
    await passing(world, client.upload('general', fileOf('abc')));
    await passing(world, client.upload('general', fileOf('abd')));
    const ids = world.called('/api/uploads').filter(({ path }) => path === '/api/uploads').map(({ body }) => (body as { clientId: string }).clientId);
    expect(ids).toHaveLength(4);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(ids[3]).not.toBe(ids[0]);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
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
