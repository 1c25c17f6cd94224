import { createChannel, demoSession, expect, findings, join, picture, test, unique, type Session, type Window } from './support.js';

test.describe.configure({ timeout: 120_000 }); // each change takes its second or two on the way, each end its ten

type Request = Parameters<typeof demoSession>[0];

const headersOf = (user: Session) => ({ Authorization: `Bearer ${user.token}` });

/** A channel of its own with Anna and Bob in it, and their conversation of two. */
async function friends(request: Request): Promise<{ id: string; direct: string; anna: Session; bob: Session }> {
  const anna = await demoSession(request, 'Anna');
  const bob = await demoSession(request, 'Bob');
  const id = await createChannel(request, anna, unique('people'));
  await join(request, bob, id);
  const data = { name: 'Anna and Bob', kind: 'direct', members: [bob.userId] };
  const response = await request.post('/api/channels', { headers: headersOf(anna), data });
  expect(response.ok(), await response.text()).toBe(true);
  return { id, direct: ((await response.json()) as { id: string }).id, anna, bob };
}

const link = (window: Window, name: string) => window.page.getByRole('navigation').getByRole('link', { name });
const typing = (window: Window) => window.page.locator('.typing');
/** Text for screen readers and the shape of the mark: both have to say it. */
async function expectHere(window: Window, name: string, availability: string, words: string, timeout = 10_000): Promise<void> {
  await expect(link(window, name).locator('[data-presence]')).toHaveAttribute('data-presence', availability, { timeout });
  await expect(link(window, name)).toHaveAccessibleName(new RegExp(`${name} \\(${words}\\)`));
}

test('who is here is shown where his name is, and goes out when he has gone', async ({ enter, request }) => {
  const { id, anna, bob } = await friends(request);
  const hers = await enter(anna, id);
  await expectHere(hers, 'Bob', 'offline', 'offline');
  const his = await enter(bob, id);
  await expectHere(hers, 'Bob', 'online', 'online');
  await his.write(unique('I am here'));
  await expect(hers.messages.last().locator('.gutter [data-presence]')).toHaveAttribute('data-presence', 'online');
  await expect(hers.page.getByRole('button', { name: '2 of 2 online' })).toBeVisible();
  await hers.page.getByRole('button', { name: '2 of 2 online' }).click();
  const row = hers.page.locator(`.member[data-user="${bob.userId}"]`);
  await expect(row).toContainText('Bob (online)');
  expect(await findings(hers.page)).toEqual([]);
  await hers.page.screenshot({ path: picture('people-members') });

  await his.page.context().close();
  await expectHere(hers, 'Bob', 'offline', 'offline', 30_000);
  await expect(row).toContainText('Bob (offline)');
  await expect(hers.messages.last().locator('.gutter [data-presence]')).toHaveAttribute('data-presence', 'offline');
  await hers.page.keyboard.press('Escape');
});

test('a channel that is open to everyone says so where others have a list', async ({ enter, request }) => {
  const hers = await enter(await demoSession(request, 'Anna'), 'general');
  await hers.page.getByRole('button', { name: /online$/ }).click();
  await expect(hers.page.getByRole('complementary', { name: 'Members' })).toContainText('open to everyone');
  await hers.page.screenshot({ path: picture('people-everyone') });
});

test('a status is set in a dialog, and seen by others', async ({ enter, request }) => {
  const { id, anna, bob } = await friends(request);
  const hers = await enter(anna, id);
  const his = await enter(bob, id);
  await expectHere(hers, 'Bob', 'online', 'online');
  await his.page.getByRole('button', { name: /change your status/ }).click();
  const dialog = his.page.getByRole('dialog', { name: 'Your status' });
  await dialog.getByRole('button', { name: 'In a meeting' }).click();
  await dialog.getByLabel('Remove the text').selectOption('in an hour');
  await dialog.getByRole('radio', { name: /Do not disturb/ }).check();
  await dialog.getByLabel('Back to automatic').selectOption('in 30 minutes');
  expect(await findings(his.page)).toEqual([]);
  await his.page.screenshot({ path: picture('people-status') });
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog).toHaveCount(0);
  await expectHere(hers, 'Bob', 'dnd', 'do not disturb');
  await link(hers, 'Bob').click();
  await expect(hers.page.locator('.place')).toContainText('Do not disturb · 📅 In a meeting');

  await his.page.getByRole('button', { name: /change your status/ }).click();
  await expect(dialog.getByLabel('Status text')).toHaveValue('In a meeting');
  await dialog.getByRole('radio', { name: /Invisible/ }).check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expectHere(hers, 'Bob', 'offline', 'offline', 15_000);
  await expect(his.page.locator('.me [data-presence]')).toHaveAttribute('data-presence', 'invisible');
});

test('typing is seen by the other one, not by the writer, and moves nothing', async ({ enter, request }) => {
  const { id, anna, bob } = await friends(request);
  const hers = await enter(anna, id);
  const his = await enter(bob, id);
  await hers.write(unique('hello'));
  await expect(his.messages).toHaveCount(1);
  const before = await his.page.getByLabel(/^Message to/).boundingBox();
  await hers.page.getByLabel(/^Message to/).pressSequentially('well', { delay: 50 });
  await expect(typing(his)).toHaveText('Anna is typing…');
  await expect(typing(hers)).toHaveText('');
  expect(await his.page.getByLabel(/^Message to/).boundingBox()).toEqual(before);
  expect(await findings(his.page)).toEqual([]);
  await his.page.screenshot({ path: picture('people-typing') });

  await hers.page.getByLabel(/^Message to/).fill('');
  await expect(typing(his)).toHaveText('');
  await hers.page.getByLabel(/^Message to/).pressSequentially('now', { delay: 50 });
  await expect(typing(his)).toHaveText('Anna is typing…');
  await hers.page.keyboard.press('Enter');
  await expect(his.messages).toHaveCount(2);
  await expect(typing(his)).toHaveText('');

  await hers.page.getByLabel(/^Message to/).pressSequentially('and', { delay: 50 });
  await expect(typing(his)).toHaveText('Anna is typing…');
  await hers.page.context().close(); // without a word: it ends by itself
  await expect(typing(his)).toHaveText('', { timeout: 15_000 });
});

test('who has not written yet has his name all the same, as soon as he is here', async ({ enter, request }) => {
  const anna = await demoSession(request, 'Anna');
  const bob = await demoSession(request, 'Bob');
  const make = async (data: object) => {
    const response = await request.post('/api/channels', { headers: headersOf(anna), data: { ...data, members: [bob.userId] } });
    expect(response.ok(), await response.text()).toBe(true);
    return ((await response.json()) as { id: string }).id;
  };
  const direct = await make({ name: 'dm', kind: 'direct' });
  const room = await make({ name: unique('plans'), kind: 'private' });
  const hers = await enter(anna, room);
  await hers.page.getByRole('button', { name: 'of 2 online' }).click();
  const row = hers.page.locator(`.member[data-user="${bob.userId}"] .name`);
  await expect(row).toContainText(bob.userId);
  await expect(link(hers, 'dm')).toBeVisible();
  const his = await enter(bob, direct);
  await expect(link(hers, 'Bob')).toBeVisible();
  await expect(row).toContainText('Bob (online)');
  await his.page.evaluate((channel) => (location.hash = channel), room);
  await his.page.getByLabel(/^Message to/).pressSequentially('well', { delay: 50 });
  await expect(typing(hers)).toHaveText('Bob is typing…');
  await hers.page.screenshot({ path: picture('people-names') });
});

test('who is invisible is not shown writing, and is again afterwards', async ({ enter, request }) => {
  const { id, anna, bob } = await friends(request);
  const hers = await enter(anna, id);
  const his = await enter(bob, id);
  await expectHere(hers, 'Bob', 'online', 'online');
  const become = async (mode: RegExp) => {
    await his.page.getByRole('button', { name: /change your status/ }).click();
    await his.page.getByRole('radio', { name: mode }).check();
    await his.page.getByRole('button', { name: 'Save' }).click();
    await expect(his.page.getByRole('dialog')).toHaveCount(0);
  };
  await become(/Invisible/);
  await expectHere(hers, 'Bob', 'offline', 'offline', 15_000);
  await hers.page.evaluate(() => {
    const line = document.querySelector('.typing')!;
    new MutationObserver(() => (document.body.dataset.shown = line.textContent ?? '')).observe(line, { childList: true, characterData: true, subtree: true });
  });
  const box = his.page.getByLabel(/^Message to/);
  await box.pressSequentially('nobody sees this', { delay: 250 }); // four times as long as it takes to be shown
  await expect(hers.page.locator('body')).not.toHaveAttribute('data-shown');
  await hers.page.screenshot({ path: picture('people-invisible') });
  await become(/Automatic/);
  await expectHere(hers, 'Bob', 'online', 'online', 15_000);
  await box.pressSequentially(' but this', { delay: 50 });
  await expect(typing(hers)).toHaveText('Bob is typing…');
  await expect(hers.page.locator('body')).toHaveAttribute('data-shown', 'Bob is typing…');
});

test('a channel that is not on screen is not told of typing; it is again when it is', async ({ enter, request }) => {
  const { id, direct, anna, bob } = await friends(request);
  const hers = await enter(anna, id);
  const his = await enter(bob, direct);
  await hers.write(unique('hello'));
  await expect(link(his, 'people-').first()).toBeVisible();
  const box = hers.page.getByLabel(/^Message to/);
  await box.pressSequentially('well', { delay: 50 });
  await expect(typing(his)).toHaveText('');
  await his.page.evaluate((channel) => (location.hash = channel), id);
  await expect(his.messages).toHaveCount(1);
  await box.pressSequentially(' then', { delay: 700 });
  await expect(typing(his)).toHaveText('Anna is typing…');
});
