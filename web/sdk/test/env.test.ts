import { expect, it } from 'vitest';
import { browserEnv } from '../src/env.js';

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
