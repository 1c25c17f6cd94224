import { describe, expect, it } from 'vitest';
import type { FileEnv } from '../src/env.js';
import { ParleyError } from '../src/errors.js';
import { MemoryStorage } from './fakes.js';
import { fileOf, passing, ready, until, type FakeStore } from './fakeStore.js';

describe('a file that is uploaded twice', () => {
  const text = 'abcdefghijkl';
  const partsOf = (store: FakeStore) => store.transfers.map(({ url }) => url.split('?')[0]!.replace('http://api/store/upload-', ''));

  /** Pages of one origin: what one has claimed the others do not get. */
  function pages() {
    const taken = new Set<string>();
    const claim: NonNullable<FileEnv['claim']> = (name) => {
      if (taken.has(name)) return Promise.resolve(undefined);
      taken.add(name);
      return Promise.resolve(() => {
        taken.delete(name);
        return Promise.resolve();
      });
    };
    return { claim, taken };
  }

  it('was completed, and nobody heard of it: nothing is sent again', async () => {
    const uploads = new MemoryStorage();
    const first = await ready({}, uploads);
    const end = new Promise<never>(() => {});
    const { route } = first.world;
    first.world.route = (call) => {
      const answer = route(call);
      return call.path.endsWith('/complete') ? end : answer; // the page is closed before the answer comes
    };
    void first.client.upload('general', fileOf(text)).catch(() => {});
    await until(() => first.store.files.size > 0);
    expect([...first.store.files]).toEqual(['upload-1']);

    const second = await ready({}, uploads, first.store);
    const before = first.store.transfers.length;
    const done = await passing(second.world, second.client.upload('general', fileOf(text)));
    expect([done.descriptor, done.attachment.sha256]).toEqual(['a1.upload-1', text]);
    expect([first.store.transfers.length - before, first.store.plans.size]).toEqual([0, 1]);
    expect(second.client.files.unfinished('general')).toEqual([]);
    // and it is another one when it is uploaded once more
    expect((await passing(second.world, second.client.upload('general', fileOf(text)))).descriptor).toBe('a1.upload-2');
  });

  it('is not taken for one that is in another channel, or of another size', async () => {
    for (const wrong of [{ channelId: 'other' }, { attachment: { size: 5 } }]) {
      const uploads = new MemoryStorage();
      const { world, client, store } = await ready({}, uploads);
      store.trouble = () => new ParleyError('unavailable', 'no network');
      await expect(passing(world, client.upload('general', fileOf('abc')))).rejects.toMatchObject({ code: 'unavailable' });
      store.trouble = () => undefined;
      const mine = { attachment: { id: 'upload-1', size: 3 }, descriptor: 'a1.wrong', channelId: 'general' };
      store.files.add('upload-1');
      store.refuse = (call) => (call.path === '/api/uploads/upload-1/complete' ? { status: 200, body: { ...mine, ...wrong } } : undefined);
      expect((await passing(world, client.upload('general', fileOf('abc')))).descriptor).toBe('a1.upload-2');
    }
  });

  it.each(['one page', 'two pages'])('at the same time, in %s: each is an upload of its own', async (where) => {
    const uploads = new MemoryStorage();
    const { claim, taken } = pages();
    const one = await ready({ claim }, uploads);
    const other = where === 'one page' ? one : await ready({ claim }, uploads, one.store);
    let go = () => {};
    one.store.hold = new Promise((resolve) => (go = resolve));
    const first = one.client.upload('general', fileOf(text));
    await until(() => one.store.atOnce === 1);
    const second = other.client.upload('general', fileOf(text));
    await until(() => one.store.atOnce === 2);
    expect(partsOf(one.store)).toEqual(['1/1', '2/1']);
    expect(one.client.files.unfinished('general').map(({ id }) => id)).toEqual(where === 'one page' ? [] : ['upload-2']);
    await other.client.files.forget('upload-1'); // it is on its way
    expect([...one.store.plans.keys()]).toEqual(['upload-1', 'upload-2']);
    go();
    const both = await Promise.all([passing(one.world, first), passing(other.world, second)]);
    expect(both.map(({ descriptor }) => descriptor)).toEqual(['a1.upload-1', 'a1.upload-2']);
    expect(partsOf(one.store).sort()).toEqual(['1/1', '1/2', '1/3', '2/1', '2/2', '2/3']);
    expect([one.client.files.unfinished('general'), taken.size]).toEqual([[], 0]);
  });

  it('and once given up: the other one goes on', async () => {
    const { world, client, store } = await ready();
    let go = () => {};
    store.hold = new Promise((resolve) => (go = resolve));
    const abort = new AbortController();
    const first = client.upload('general', fileOf(text), { signal: abort.signal });
    const ended = expect(first).rejects.toMatchObject({ code: 'aborted' });
    await until(() => store.atOnce === 1);
    const second = client.upload('general', fileOf(text));
    await until(() => store.atOnce === 2);
    abort.abort();
    go();
    expect((await passing(world, second)).descriptor).toBe('a1.upload-2');
    await ended;
    expect([...store.plans.keys()]).toEqual(['upload-2']);
  });

  it('goes on with what nobody is at any more', async () => {
    const uploads = new MemoryStorage();
    const { claim } = pages();
    const { world, client, store } = await ready({ claim }, uploads);
    store.trouble = (url) => (url.includes('/3?') ? new ParleyError('unavailable', 'no network') : undefined);
    await expect(passing(world, client.upload('general', fileOf(text)))).rejects.toMatchObject({ code: 'unavailable' });
    store.trouble = () => undefined;
    expect((await passing(world, client.upload('general', fileOf(text)))).descriptor).toBe('a1.upload-1');
    expect(store.plans.size).toBe(1);
  });
});

describe('where pages cannot be told from each other', () => {
  const text = 'abcdefghijkl';
  const sentParts = (store: FakeStore) => store.transfers.map(({ url }) => /\/(\w+)\?/.exec(url)![1]);

  it('a part that another request has brought meanwhile is not sent again', async () => {
    const { world, client, store } = await ready();
    store.trouble = (url) => {
      if (!url.includes('/2?')) return undefined;
      store.plans.get('upload-1')!.parts.set(2, 'efgh');
      return 409;
    };
    expect((await passing(world, client.upload('general', fileOf(text)))).attachment.sha256).toBe(text);
    expect(sentParts(store)).toEqual(['1', '2', '3']);
  });

  it('a part that another request has begun and not brought is sent again', async () => {
    const { world, client, store } = await ready();
    store.trouble = (url, count) => (url.includes('/2?') && count === 1 ? 409 : undefined);
    expect((await passing(world, client.upload('general', fileOf(text)))).attachment.sha256).toBe(text);
    expect(sentParts(store)).toEqual(['1', '2', '2', '3']);
    store.trouble = (_, count) => (count === 1 ? 409 : undefined);
    expect((await passing(world, client.upload('general', fileOf('abc')))).attachment.sha256).toBe('abc');
  });

  it('what was completed meanwhile is the file', async () => {
    const { world, client, store } = await ready();
    store.trouble = (url) => {
      if (!url.includes('/2?')) return undefined;
      const { parts } = store.plans.get('upload-1')!;
      ['abcd', 'efgh', 'ijkl'].forEach((part, i) => parts.set(i + 1, part));
      store.files.add('upload-1');
      return 409;
    };
    const done = await passing(world, client.upload('general', fileOf(text)));
    expect([done.descriptor, sentParts(store)]).toEqual(['a1.upload-1', ['1', '2']]);
    expect(client.files.unfinished('general')).toEqual([]);
  });

  it('what was removed meanwhile ends', async () => {
    const { world, client, store } = await ready();
    store.trouble = () => {
      store.plans.delete('upload-1');
      return 404;
    };
    await expect(passing(world, client.upload('general', fileOf(text)))).rejects.toMatchObject({ code: 'not_found' });
    expect([store.transfers.length, client.files.unfinished('general').length]).toEqual([1, 0]);
  });

  it('a thumbnail that is sealed already is left as it is', async () => {
    const thumbnail = { blob: new Blob(['tiny'], { type: 'image/webp' }), width: 512, height: 256 };
    const { world, client, store } = await ready({ picture: () => Promise.resolve({ width: 4000, height: 2000, thumbnail }) });
    store.trouble = (url) => (url.includes('/thumbnail?') ? 409 : undefined);
    expect((await passing(world, client.upload('general', fileOf('cat', 'cat.png', 'image/png')))).attachment.sha256).toBe('cat');
    expect(sentParts(store)).toEqual(['thumbnail', '1']);
  });
});
