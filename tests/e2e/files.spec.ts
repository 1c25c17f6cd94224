import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { Page } from '@playwright/test';
import { createChannel, demoSession, expect, findings, join, picture, test, unique, type Session } from './support.js';

const MIB = 1024 * 1024;

test.describe.configure({ timeout: 120_000 }); // megabytes, and images that are painted: slow on a busy machine

interface Choice {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

/** An image of noise, painted by the page: too large to be its own thumbnail. */
async function imageOf(page: Page, name: string, width = 900, height = 600): Promise<Choice> {
  const data = await page.evaluate(([w, h]) => {
    const canvas = document.createElement('canvas');
    canvas.width = w!;
    canvas.height = h!;
    const context = canvas.getContext('2d')!;
    for (let y = 0; y < h!; y += 6) {
      for (let x = 0; x < w!; x += 6) {
        context.fillStyle = `hsl(${(x * 360) / w!} 70% ${30 + (40 * y) / h! + 10 * Math.random()}%)`;
        context.fillRect(x, y, 6, 6);
      }
    }
    return canvas.toDataURL('image/png').split(',')[1]!;
  }, [width, height]);
  return { name, mimeType: 'image/png', buffer: Buffer.from(data, 'base64') };
}

const choose = (page: Page, files: string | Choice | Choice[]) => page.locator('input[type=file]').setInputFiles(files);
/** The API's, and bodies, wherever they go (a bucket's addresses begin with its name). */
const isOfFiles = (url: URL) => /^\/(api\/(uploads|files)|parley\/)/.test(url.pathname);
const upload = (page: Page, name: string) => page.locator('.upload').filter({ hasText: name });

/** A channel of its own with two people in it. */
async function room(request: Parameters<typeof demoSession>[0]): Promise<{ id: string; ada: Session; grace: Session }> {
  const ada = await demoSession(request, 'Ada Lovelace');
  const grace = await demoSession(request, 'Grace Hopper');
  const id = await createChannel(request, ada, unique('files'));
  await join(request, grace, id);
  return { id, ada, grace };
}

test('an image is shown in its message, in a box that was there before it', async ({ enter, request }) => {
  const { id, ada, grace } = await room(request);
  const [first, second] = [await enter(ada, id), await enter(grace, id)];
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  const asked: string[] = [];
  await second.page.route(/\/api\/files\//, async (route) => {
    asked.push(route.request().url());
    await held;
    await route.fallback();
  });
  await choose(first.page, await imageOf(first.page, 'sunset.png'));
  await expect(upload(first.page, 'sunset.png')).toHaveAttribute('data-phase', 'done');
  expect(await findings(first.page)).toEqual([]);
  await first.page.screenshot({ path: picture('file-ready') });
  const text = unique('look');
  await first.write(text);
  await expect(first.page.locator('.upload')).toHaveCount(0);
  const image = first.message(text).getByRole('button', { name: 'Image sunset.png' });
  await expect(image.locator('img')).toHaveJSProperty('complete', true);
  await expect(image.locator('img')).not.toHaveJSProperty('naturalWidth', 0);

  const box = second.message(text).locator('.picture');
  await expect(box).toBeVisible();
  await expect(box).toHaveAttribute('data-state', 'loading');
  const before = await box.boundingBox();
  go();
  await expect(box.locator('img')).toHaveJSProperty('complete', true);
  await expect(box.locator('img')).not.toHaveJSProperty('naturalWidth', 0);
  expect(await box.boundingBox()).toEqual(before);
  expect(before!.width / before!.height).toBeCloseTo(1.5, 1);
  expect(asked.filter((url) => !url.includes('?'))).toEqual([expect.stringMatching(/\/thumbnail$/)]);
  expect(await findings(second.page)).toEqual([]);
  await second.page.screenshot({ path: picture('file-image') });

  await box.click();
  await expect(second.page.getByRole('dialog', { name: 'sunset.png' }).locator('img')).toHaveJSProperty('naturalWidth', 900);
  await second.page.keyboard.press('Escape');
  await expect(second.page.getByRole('dialog')).toHaveCount(0);
});

test('a file that is being checked says so, and is shown as soon as it may be', async ({ enter, request }) => {
  const { id, ada, grace } = await room(request);
  const [first, second] = [await enter(ada, id), await enter(grace, id)];
  let checking = true;
  await second.page.route(/\/api\/files\/[^/]+(\/thumbnail)?$/, async (route) => {
    const body = '{"code":"conflict","detail":"the file is being checked","retryMs":1000}';
    return checking ? route.fulfill({ status: 409, contentType: 'application/problem+json', headers: { 'Retry-After': '1' }, body }) : route.fallback();
  });
  await choose(first.page, [await imageOf(first.page, 'held.png'), { name: 'held.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') }]);
  await expect(first.page.locator('.upload[data-phase=done]')).toHaveCount(2);
  await first.page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(second.page.getByText('held.png is being checked…')).toBeVisible();
  await second.page.getByRole('button', { name: 'Save held.txt' }).click();
  await expect(second.page.getByText('It is still being checked. Try again in a moment.')).toBeVisible();
  expect(await findings(second.page)).toEqual([]);
  await second.page.screenshot({ path: picture('file-checking') });
  checking = false;
  await expect(second.page.getByRole('img', { name: 'Image held.png' })).toBeVisible();
});

test('a large upload goes on after a reload with the part that is missing', async ({ enter, request }) => {
  const { id, ada, grace } = await room(request);
  const folder = mkdtempSync(joinPath(tmpdir(), 'parley-file-'));
  const path = joinPath(folder, 'film.bin');
  writeFileSync(path, Buffer.alloc(40 * MIB, 'parley '));
  try {
    const [first, second] = [await enter(ada, id), await enter(grace, id)];
    const puts: string[] = [];
    let hold = true;
    await first.page.route(isOfFiles, async (route) => {
      if (route.request().method() !== 'PUT') return route.fallback();
      puts.push(route.request().url());
      if (hold && puts.length === 3) return; // never answered: the reload comes first
      return route.fallback();
    });
    await choose(first.page, path);
    const bar = first.page.getByRole('progressbar', { name: 'Upload of film.bin' });
    // Two of three parts: whichever was held, 24 MiB at least are there, and not all of it
    await expect.poll(async () => Number(await bar.getAttribute('value')), { timeout: 40_000 }).toBeGreaterThanOrEqual(24 * MIB);
    await first.page.screenshot({ path: picture('file-progress') });
    await first.page.reload();
    await expect(first.status()).toHaveText('Connected');
    await expect(upload(first.page, 'film.bin')).toContainText('not finished');
    expect(await findings(first.page)).toEqual([]);
    await first.page.screenshot({ path: picture('file-unfinished') });
    hold = false;
    expect(puts).toHaveLength(3);
    await choose(first.page, path);
    await expect(upload(first.page, 'film.bin')).toHaveAttribute('data-phase', 'done', { timeout: 40_000 });
    await expect(first.page.locator('.upload')).toHaveCount(1);
    expect(puts).toHaveLength(4);
    await first.page.getByRole('button', { name: 'Send', exact: true }).click();
    const row = second.page.locator('.file').filter({ hasText: 'film.bin' });
    await expect(row).toContainText('BIN, 42 MB');
    const download = second.page.waitForEvent('download');
    await row.getByRole('button', { name: 'Save film.bin' }).click();
    expect((await download).suggestedFilename()).toBe('film.bin');
    await second.page.screenshot({ path: picture('file-row') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an upload can be cancelled, fails with advice, and is tried again', async ({ enter, request }) => {
  const { id, ada } = await room(request);
  const { page, messages } = await enter(ada, id);
  let mode: 'hold' | 'fail' | 'go' = 'hold';
  const gone: string[] = [];
  await page.route(isOfFiles, async (route) => {
    if (route.request().method() === 'DELETE') gone.push(route.request().url());
    if (mode === 'fail' && route.request().method() === 'POST') {
      return route.fulfill({ status: 413, contentType: 'application/problem+json', body: '{"code":"too_large","detail":"at most 5 GiB"}' });
    }
    if (mode === 'hold' && route.request().method() === 'PUT') return undefined;
    return route.fallback();
  });
  const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') };
  await choose(page, notes);
  await expect(upload(page, 'notes.txt')).toHaveAttribute('data-phase', /preparing|sending/);
  await page.getByLabel(/^Message to/).press('Enter');
  await expect(page.getByText('A file is still being uploaded.')).toBeVisible();
  await page.getByRole('button', { name: 'Cancel notes.txt' }).click();
  await expect(page.locator('.upload')).toHaveCount(0);
  await expect.poll(() => gone.length).toBe(1);

  mode = 'fail';
  await choose(page, notes);
  await expect(upload(page, 'notes.txt')).toContainText('This file is too large.');
  expect(await findings(page)).toEqual([]);
  mode = 'go';
  await page.getByRole('button', { name: 'Try again notes.txt' }).click();
  await expect(upload(page, 'notes.txt')).toHaveAttribute('data-phase', 'done');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(messages.locator('.file')).toContainText('TXT, 5 bytes');
});

test('files are pasted, dropped, and chosen from the keyboard', async ({ enter, request }) => {
  const { id, ada } = await room(request);
  const { page } = await enter(ada, id);
  const hand = (kind: 'paste' | 'drop', name: string) =>
    page.getByLabel(/^Message to/).evaluate(
      (box, [what, fileName]) => {
        const data = new DataTransfer();
        data.items.add(new File(['hello'], fileName!, { type: 'text/plain' }));
        const init = { bubbles: true, cancelable: true };
        if (what === 'drop') box.dispatchEvent(new DragEvent('dragover', { ...init, dataTransfer: data }));
        box.dispatchEvent(what === 'paste' ? new ClipboardEvent('paste', { ...init, clipboardData: data }) : new DragEvent('drop', { ...init, dataTransfer: data }));
      },
      [kind, name],
    );
  await hand('paste', 'pasted.txt');
  await expect(upload(page, 'pasted.txt')).toHaveAttribute('data-phase', 'done');
  await hand('drop', 'dropped.txt');
  await expect(upload(page, 'dropped.txt')).toHaveAttribute('data-phase', 'done');
  await expect(page.locator('.drop')).toHaveCount(0);
  await page.getByRole('button', { name: 'Add files' }).focus();
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles({ name: 'chosen.txt', mimeType: 'text/plain', buffer: Buffer.from('hello') });
  await expect(page.locator('.upload[data-phase=done]')).toHaveCount(3);
  await page.getByLabel(/^Message to/).press('Enter');
  await expect(page.locator('.message .file')).toHaveCount(3);
});
