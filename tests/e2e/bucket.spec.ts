import { createChannel, demoSession, expect, join, test, unique } from './support.js';

/** What only a bucket has: another origin than the page's. Nothing is routed here: preflights are the browser's own, and the server answers them. */

test.skip(process.env.PARLEY_UPLOAD_STORE !== 's3', 'the stack has no bucket');

test('bodies go to another origin, which lets this page alone', async ({ enter, request, baseURL }) => {
  const ada = await demoSession(request, 'Ada Lovelace');
  const grace = await demoSession(request, 'Grace Hopper');
  const id = await createChannel(request, ada, unique('bucket'));
  await join(request, grace, id);
  const [first, second] = [await enter(ada, id), await enter(grace, id)];
  const put = first.page.waitForRequest((sent) => sent.method() === 'PUT');
  await first.page.locator('input[type=file]').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') });
  const sent = await put;
  const bucket = new URL(sent.url()).origin;
  expect(bucket).not.toBe(new URL(baseURL!).origin);
  expect(await (await sent.response())!.headerValue('access-control-allow-origin')).toBe(new URL(baseURL!).origin);
  await expect(first.page.locator('.upload')).toHaveAttribute('data-phase', 'done');
  await first.page.getByRole('button', { name: 'Send', exact: true }).click();

  const row = second.page.locator('.file').filter({ hasText: 'notes.txt' });
  const download = second.page.waitForEvent('download');
  await row.getByRole('button', { name: 'Save notes.txt' }).click();
  const saved = await download;
  expect(saved.suggestedFilename()).toBe('notes.txt');
  expect(new URL(saved.url()).origin).toBe(bucket);

  // a signed address is good for whoever has it, and still a page of another origin cannot read by it
  const elsewhere = await first.page.context().newPage();
  await elsewhere.goto(bucket.replace('127.0.0.1', 'localhost'));
  const read = (url: string) => fetch(url).then((answer) => answer.text(), () => 'refused by the browser');
  expect(await elsewhere.evaluate(read, saved.url())).toBe('refused by the browser');
});

test('the page speaks to itself and to the bucket, and to nobody else', async ({ page, baseURL }) => {
  await page.goto('/');
  const { port } = new URL(baseURL!);
  const refused = await page.evaluate(
    (url) =>
      new Promise<string>((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
        fetch(url, { mode: 'no-cors' }).then(() => resolve('sent'), () => setTimeout(() => resolve('failed'), 2000));
      }),
    `http://localhost:${port}/favicon.svg`,
  );
  expect(refused).toBe('connect-src');
});
