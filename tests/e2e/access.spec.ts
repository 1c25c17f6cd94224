import { expect, findings, picture, test, unique } from './support.js';

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of Object.entries({ wide: { width: 1000, height: 700 }, narrow: { width: 390, height: 780 } })) {
    test(`axe finds nothing: ${colorScheme}, ${size}`, async ({ enter, browser, baseURL }) => {
      const context = await browser.newContext({ baseURL: baseURL!, colorScheme, viewport });
      const door = await context.newPage();
      await door.goto('/');
      await door.getByRole('button', { name: 'Start chatting' }).click();
      await expect(door.getByText('Write a name first.')).toBeVisible();
      expect(await findings(door)).toEqual([]);
      await door.screenshot({ path: picture(`door-${colorScheme}-${size}`) });
      await context.close();

      const ada = await enter('Ada Lovelace', 'general', { colorScheme, viewport });
      const text = unique('look at https://example.org/');
      await ada.write(text);
      const mine = ada.messages.filter({ hasText: text });
      await expect(mine).toHaveAttribute('data-status', 'sent');
      await mine.getByRole('button', { name: 'Delete' }).click({ force: true });
      expect(await findings(ada.page)).toEqual([]);
      await mine.getByRole('button', { name: 'Keep' }).click();
      await ada.page.keyboard.press('Tab');
      await ada.page.getByLabel(/^Message to/).focus();
      await ada.page.keyboard.press('ArrowUp');
      expect(await findings(ada.page)).toEqual([]);
      const sideways = await ada.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(sideways).toBeLessThanOrEqual(0);
      await ada.page.screenshot({ path: picture(`chat-${colorScheme}-${size}`) });
    });
  }
}
