import { createChannel, demoSession, expect, join, picture, seed, test, unique } from './support.js';

const COUNT = 170;

test('history comes while scrolling up, and the reader keeps the place', async ({ enter, page, request }) => {
  const owner = await demoSession(request, 'Ada Lovelace');
  const channelId = await createChannel(request, owner, unique('history'));
  const reader = await demoSession(request, 'Grace Hopper');
  await join(request, reader, channelId);
  await page.goto('/plain.html?name=Seeder');
  const lines = Array.from({ length: COUNT }, (_, i) => `line ${i}${i % 7 === 0 ? `\n${'long '.repeat(40)}` : ''}`);
  await seed(page, owner, channelId, lines);

  const grace = await enter(reader, channelId);
  await expect(grace.message(`line ${COUNT - 1}`)).toBeVisible();
  const list = grace.page.getByRole('region', { name: 'Messages' });
  const shown = await grace.messages.count();
  expect(shown).toBeLessThan(COUNT);

  // Answers of history are held back, so that the reader's place can be looked at before and after.
  let release = () => {};
  await grace.page.route(/\/messages\?.*before=/, async (route) => {
    await new Promise<void>((resolve) => (release = resolve));
    await route.continue();
  });
  const asked = grace.page.waitForRequest(/before=/);
  await list.evaluate((box) => (box.scrollTop = 150));
  await asked;
  const place = () =>
    list.evaluate((box) => {
      const top = box.getBoundingClientRect().top;
      const item = [...box.querySelectorAll<HTMLElement>('.message')].find((each) => each.getBoundingClientRect().bottom > top)!;
      return { text: item.querySelector('.text')!.textContent, offset: Math.round(item.getBoundingClientRect().top - top) };
    });
  await expect(list.getByText('Loading…')).toBeVisible();
  const before = await place();
  release();
  await expect.poll(() => grace.messages.count()).toBeGreaterThan(shown);
  const after = await place();
  expect(after.text).toBe(before.text);
  expect(Math.abs(after.offset - before.offset)).toBeLessThanOrEqual(1);
  await grace.page.screenshot({ path: picture('history') });
  await grace.page.unroute(/\/messages\?.*before=/);

  await expect.poll(async () => {
    await list.evaluate((box) => (box.scrollTop = 0));
    return grace.messages.count();
  }).toBe(COUNT);
  const numbers = (await grace.contents()).map((text) => Number(/^line (\d+)/.exec(text)?.[1]));
  expect(numbers).toEqual(Array.from({ length: COUNT }, (_, i) => i));
  await expect(list.getByText(/is where .* begins/)).toBeVisible();
});

test('who reads further up is not moved by new messages, and can jump to them', async ({ enter, page, request }) => {
  const owner = await demoSession(request, 'Ada Lovelace');
  const channelId = await createChannel(request, owner, unique('reading'));
  const reader = await demoSession(request, 'Grace Hopper');
  await join(request, reader, channelId);
  await page.goto('/plain.html?name=Seeder');
  await seed(page, owner, channelId, Array.from({ length: 40 }, (_, i) => `line ${i}`));
  const ada = await enter(owner, channelId);
  const grace = await enter(reader, channelId);
  await expect(grace.message('line 39')).toBeInViewport();
  const list = grace.page.getByRole('region', { name: 'Messages' });
  await list.evaluate((box) => (box.scrollTop = 200));
  const jump = grace.page.getByRole('button', { name: 'Jump to latest' });
  await expect(jump).toBeVisible();
  const top = await list.evaluate((box) => box.scrollTop);
  await ada.write('something new');
  await grace.page.getByRole('button', { name: '1 new message' }).waitFor();
  expect(await list.evaluate((box) => box.scrollTop)).toBe(top);
  await grace.page.getByRole('button', { name: '1 new message' }).click();
  await expect(grace.message('something new')).toBeInViewport();
  await expect(grace.page.getByRole('button', { name: /Jump|new message/ })).toHaveCount(0);
});

test('who is at the end stays there when something grows in the moment of a scroll', async ({ enter, page, request }) => {
  const owner = await demoSession(request, 'Ada Lovelace');
  const channelId = await createChannel(request, owner, unique('growing'));
  await page.goto('/plain.html?name=Seeder');
  await seed(page, owner, channelId, Array.from({ length: 40 }, (_, i) => `line ${i}`));
  const ada = await enter(owner, channelId);
  await expect(ada.message('line 39')).toBeInViewport();
  const list = ada.page.getByRole('region', { name: 'Messages' });
  await list.evaluate((box) => {
    const last = [...box.querySelectorAll<HTMLElement>('.message')].at(-1)!;
    box.scrollTop -= 1; // tells of itself with the next frame, when the list is 100 pixels longer already
    last.style.paddingBottom = '100px';
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  });
  await expect(ada.page.getByRole('button', { name: /Jump/ })).toHaveCount(0);
  expect(await list.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight)).toBeLessThan(2);
});
