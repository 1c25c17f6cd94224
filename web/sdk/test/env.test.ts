import { afterEach, expect, it, vi } from 'vitest';
import { browserEnv } from '../src/env.js';

afterEach(() => void vi.unstubAllGlobals());

async function deflated(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return new Response(stream).arrayBuffer();
}

it('unpacks a raw deflate stream', async () => {
  const text = '{"type":"event","content":"grüße 👋"}\n'.repeat(5_000);
  expect(await browserEnv().inflate!(await deflated(text))).toBe(text);
});

it('refuses what is damaged, and what grows beyond 16 MiB', async () => {
  const { inflate } = browserEnv();
  await expect(inflate!(new Uint8Array([255, 1, 2, 3]).buffer)).rejects.toThrow();
  const most = 16 * 1024 * 1024;
  expect(await inflate!(await deflated('x'.repeat(most)))).toHaveLength(most);
  await expect(inflate!(await deflated('x'.repeat(most + 1)))).rejects.toThrow('too large');
});

/** As a browser's: a lock is held until the promise of its callback is settled, and let go of a little later. */
class FakeLocks {
  readonly held = new Set<string>();
  async request(name: string, { ifAvailable }: { ifAvailable: boolean }, run: (lock: object | null) => unknown): Promise<unknown> {
    expect(ifAvailable).toBe(true);
    await Promise.resolve();
    if (name === 'forbidden') throw new Error('not in this frame');
    if (this.held.has(name)) return run(null);
    this.held.add(name);
    const result = await run({ name });
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.held.delete(name);
    return result;
  }
}

it('claims a name for this page, and has let go of it when that is settled', async () => {
  const locks = new FakeLocks();
  vi.stubGlobal('XMLHttpRequest', class {});
  vi.stubGlobal('navigator', { locks });
  const claim = browserEnv().files!.claim!;
  const letGo = await claim('a');
  expect([typeof letGo, await claim('a'), typeof (await claim('b'))]).toEqual(['function', undefined, 'function']);
  await letGo!();
  expect([...locks.held]).toEqual(['b']);
  expect(await claim('a')).toBeTypeOf('function');
  await expect(claim('forbidden')).rejects.toThrow('not in this frame');
  vi.stubGlobal('navigator', {});
  expect(browserEnv().files!.claim).toBeUndefined();
});
