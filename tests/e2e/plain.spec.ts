import { expect, picture, test, unique } from './support.js';

test('the page without an SDK sends and receives', async ({ enter, page }) => {
  const ada = await enter('Ada Lovelace');
  const answered = page.waitForEvent('websocket');
  await page.goto('/plain.html?name=Plain Jane');
  await answered;
  const log = page.locator('#log');
  const hello = unique('from the app');
  await expect(async () => {
    await ada.write(hello);
    await expect(log.getByText(`Ada Lovelace: ${hello}`).first()).toBeVisible({ timeout: 1000 });
  }).toPass();
  const answer = unique('from ten lines');
  await page.getByLabel('Message to general').fill(answer);
  await page.keyboard.press('Enter');
  await expect(ada.message(answer).getByRole('article')).toHaveAccessibleName(/Plain Jane/);
  await expect(log).toContainText(`Plain Jane: ${answer}`);
  await expect(page.locator('#sent')).toContainText('Stored as number');
  await page.screenshot({ path: picture('plain') });
});
