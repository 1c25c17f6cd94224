import { expect, picture, test, unique } from './support.js';

test('two windows chat', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const grace = await enter('Grace Hopper', 'general', { colorScheme: 'dark' });
  const hello = unique('Hello');
  await ada.write(hello);
  await expect(grace.message(hello)).toBeVisible();
  await expect(grace.message(hello).getByRole('article')).toHaveAccessibleName(/Ada Lovelace/);
  const answer = unique('Hello back');
  await grace.write(answer);
  await expect(ada.message(answer)).toBeVisible();
  for (const window of [ada, grace]) {
    await expect(window.message(hello)).toHaveCount(1);
    await expect(window.message(answer)).toHaveCount(1);
  }
  await ada.page.screenshot({ path: picture('two-windows-ada') });
  await grace.page.screenshot({ path: picture('two-windows-grace') });
});

test('a message is sent once it is stored; edits and deletions reach the other window', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const grace = await enter('Grace Hopper');
  const first = unique('first');
  await ada.write(first);
  await expect(ada.message(first)).toHaveAttribute('data-status', 'sent');
  await expect(ada.message(first).locator('.state')).toHaveText(/Sent/);
  await expect(grace.message(first).locator('.state')).toHaveCount(0);
  await expect(grace.message(first).getByRole('button')).toHaveCount(0);

  await ada.message(first).getByRole('button', { name: 'Edit' }).click();
  await ada.page.getByLabel('Edit message').fill(`${first} better`);
  await ada.page.keyboard.press('Enter');
  await expect(grace.page.getByText(`${first} better (edited)`)).toBeVisible();

  const mine = ada.messages.filter({ hasText: `${first} better` });
  await mine.getByRole('button', { name: 'Delete' }).click();
  await mine.getByRole('button', { name: 'Delete' }).click();
  await expect(grace.page.getByText(`${first} better`)).toHaveCount(0);
  await expect(grace.page.getByText('This message was deleted.').last()).toBeVisible();
});

test('a message that the server refuses is failed; it can be tried again', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const text = unique('refused');
  // The real gateway refuses the first attempt: it is for a channel that there is not.
  let spoiled = 0;
  await ada.page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((data) => {
      const spoil = spoiled === 0 && String(data).includes(text);
      if (spoil) spoiled++;
      server.send(spoil ? String(data).replace('"channelId":"general"', '"channelId":"nowhere"') : data);
    });
  });
  await ada.page.reload();
  await expect(ada.status()).toHaveText('Connected');
  await ada.write(text);
  await expect(ada.message(text)).toHaveAttribute('data-status', 'failed');
  await expect(ada.message(text)).toContainText('Not sent: you are not a member of this channel.');
  await ada.page.screenshot({ path: picture('failed') });
  await ada.message(text).getByRole('button', { name: 'Try again' }).click();
  await expect(ada.message(text)).toHaveAttribute('data-status', 'sent');
  await expect(ada.message(text)).toHaveCount(1);
  expect(spoiled).toBe(1);
});

test('works from the keyboard alone', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const { page } = ada;
  const text = unique('typed');
  await page.keyboard.type(text);
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second line');
  await page.keyboard.press('Enter');
  const message = ada.messages.filter({ hasText: text });
  await expect(message.locator('.text')).toHaveText(`${text}\nsecond line`);
  await expect(message).toHaveAttribute('data-status', 'sent');
  await page.keyboard.press('ArrowUp');
  await expect(page.getByLabel('Edit message')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByLabel(/^Message to/)).toBeFocused();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.type('!');
  await page.keyboard.press('Enter');
  await expect(message.locator('.text')).toContainText('second line! (edited)');
  await expect(message.getByRole('button', { name: 'Delete' })).toHaveCount(1); // it is stored
  await page.keyboard.press('Shift+Tab');
  await expect(message.getByRole('button', { name: 'Delete' })).toBeFocused();
});

test('content is text: markup is shown, not run; links are safe', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const grace = await enter('Grace Hopper');
  const tag = unique('x');
  await ada.write(`<img src=x onerror="document.title='owned'"> <b>${tag}</b> javascript:alert(1) https://example.org/${tag}.`);
  const shown = grace.messages.filter({ hasText: tag });
  await expect(shown.locator('.text')).toContainText(`<b>${tag}</b> javascript:alert(1)`);
  await expect(shown.locator('img, b')).toHaveCount(0);
  await expect(shown.locator('.text a')).toHaveAttribute('href', `https://example.org/${tag}`);
  await expect(shown.locator('.text a')).toHaveAttribute('rel', /noopener/);
  expect(await grace.page.title()).not.toContain('owned');
});

test('a screen reader hears new messages of others, and no history', async ({ enter }) => {
  const ada = await enter('Ada Lovelace');
  const grace = await enter('Grace Hopper');
  const announcer = grace.page.getByRole('status');
  await expect(announcer).toHaveText('');
  const text = unique('news');
  await ada.write(text);
  await expect(announcer).toHaveText(`Ada Lovelace: ${text}`);
});
