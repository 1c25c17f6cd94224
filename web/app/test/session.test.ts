import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { restore, tokenProvider, type SignedIn } from '../src/session.js';

const signedIn = (token: string, inSeconds: number): SignedIn => ({
  token,
  userId: 'ada-1',
  name: 'Ada',
  expiresAt: new Date(Date.now() + inSeconds * 1000).toISOString(),
});

describe('the token of a demo session', () => {
  const asked: { url: string; init: RequestInit }[] = [];
  let answer: () => Response;
  const items = new Map<string, string>();

  beforeEach(() => {
    asked.length = 0;
    items.clear();
    answer = () => Response.json(signedIn('second', 7200));
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      asked.push({ url, init });
      return Promise.resolve(answer());
    });
    const get = (key: string) => items.get(key) ?? null;
    vi.stubGlobal('sessionStorage', { getItem: get, setItem: (key: string, value: string) => items.set(key, value) });
  });
  afterEach(() => vi.unstubAllGlobals());

  it('is renewed with itself, and the new one is kept for a reload', async () => {
    const provider = tokenProvider(signedIn('first', 3600));
    expect(await provider('connect')).toBe('first');
    expect(asked).toEqual([]);
    expect(await provider('renew')).toBe('second');
    expect(asked.map(({ url }) => url)).toEqual(['/api/demo/session']);
    expect(asked[0]!.init.headers).toMatchObject({ Authorization: 'Bearer first' });
    expect(await provider('connect')).toBe('second');
    expect(restore()?.token).toBe('second');
    await provider('renew');
    expect(asked[1]!.init.headers).toMatchObject({ Authorization: 'Bearer second' });
  });

  it('that cannot be renewed now is asked for again later', async () => {
    const provider = tokenProvider(signedIn('first', 3600));
    answer = () => new Response('{}', { status: 503 });
    await expect(provider('renew')).rejects.not.toHaveProperty('fatal');
    expect(await provider('connect')).toBe('first');
  });

  it('that has ended or is refused ends the session', async () => {
    await expect(tokenProvider(signedIn('first', -1))('connect')).rejects.toMatchObject({ fatal: true });
    await expect(tokenProvider(signedIn('first', 3600))('refused')).rejects.toMatchObject({ fatal: true });
    expect(asked).toEqual([]);
  });
});
