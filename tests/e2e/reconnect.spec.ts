import { kill, startAgain } from './stack.js';
import { createChannel, demoSession, expect, join, picture, test, unique, type Window } from './support.js';

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i}`);

test.describe.configure({ timeout: 120_000 }); // starting a service on a loaded machine takes its time
test.afterEach(() => startAgain('gateway'));

test('the gateway is killed while two windows write: nothing is lost, nothing comes twice', async ({ enter, request }) => {
  const [owner, guest] = [await demoSession(request, 'Ada Lovelace'), await demoSession(request, 'Grace Hopper')];
  const channelId = await createChannel(request, owner, unique('killed'));
  await join(request, guest, channelId);
  const ada = await enter(owner, channelId);
  const grace = await enter(guest, channelId);
  const write = async (window: Window, who: string, from: number, count: number) => {
    for (const line of range(count, from)) await window.write(`${who} ${line}`);
  };
  await Promise.all([write(ada, 'ada', 0, 10), write(grace, 'grace', 0, 10)]);
  kill('gateway');
  await Promise.all([write(ada, 'ada', 10, 10), write(grace, 'grace', 10, 10)]);
  await expect(ada.status()).not.toHaveText('Connected');
  await expect(ada.page.getByText('What you write is kept.')).toBeVisible();
  await expect(ada.message('ada line 19')).toHaveAttribute('data-status', 'sending');
  await ada.page.screenshot({ path: picture('reconnecting') });
  await startAgain('gateway');
  for (const window of [ada, grace]) {
    await expect(window.status()).toHaveText('Connected', { timeout: 40_000 });
    await expect(window.messages).toHaveCount(40);
    await expect(window.page.locator('.message:not([data-status=sent])')).toHaveCount(0);
  }
  const seen = await ada.contents();
  expect(await grace.contents()).toEqual(seen);
  for (const who of ['ada', 'grace']) {
    expect(seen.filter((text) => text.startsWith(who))).toEqual(range(20).map((line) => `${who} ${line}`));
  }
  await grace.page.reload();
  await expect(grace.messages).toHaveCount(40);
  expect(await grace.contents()).toEqual(seen);
});

test('a message that was not sent survives a reload of the page, and is stored once', async ({ enter, request }) => {
  const owner = await demoSession(request, 'Ada Lovelace');
  const channelId = await createChannel(request, owner, unique('reload'));
  const ada = await enter(owner, channelId);
  await ada.write('before');
  await expect(ada.message('before')).toHaveAttribute('data-status', 'sent');
  kill('gateway');
  await expect(ada.status()).not.toHaveText('Connected');
  await ada.write('while it was away');
  await expect(ada.message('while it was away')).toHaveAttribute('data-status', 'sending');
  await ada.page.reload();
  await startAgain('gateway');
  await expect(ada.message('while it was away')).toHaveAttribute('data-status', 'sent', { timeout: 40_000 });
  expect(await ada.contents()).toEqual(['before', 'while it was away']);
});
