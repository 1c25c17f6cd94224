import { resolve } from 'node:path';
import { root } from './stack.js';
import { createChannel, demoSession, expect, join, test } from './support.js';

// Not a test: draws the picture of the README, when asked to, in a stack without other messages.
test.skip(process.env.PARLEY_PICTURE !== '1', 'PARLEY_PICTURE=1 draws docs/images/chat.png');

test('the picture of the README', async ({ enter, request }) => {
  const [ada, grace, linus] = await Promise.all(['Ada Lovelace', 'Grace Hopper', 'Linus'].map((name) => demoSession(request, name)));
  for (const name of ['random', 'releases']) await join(request, ada!, await createChannel(request, grace!, name));
  const size = { viewport: { width: 1040, height: 680 }, deviceScaleFactor: 1.5 };
  const first = await enter(grace!, 'general', size);
  const second = await enter(linus!, 'general', size);
  const third = await enter(ada!, 'general', size);
  const talk = [
    [first, 'Morning! The new gateway is on staging: https://staging.example.org/chat'],
    [first, 'It came through kill -9 four times, nothing lost and nothing twice.'],
    [second, 'Nice. And the numbers?'],
    [first, 'One room with 1,000 people:\n- nobody was dropped\n- every chain is whole'],
    [third, 'Tried it on the train. Two tunnels, and what I wrote was there when I came out.'],
    [third, 'I like that it says what it is doing while it is away.'],
    [second, 'Then let us ship it on Thursday.'],
  ] as const;
  for (const [window, text] of talk) {
    await window.write(text);
    await expect(third.messages.filter({ hasText: text.split('\n')[0]! })).toHaveAttribute('data-status', 'sent');
  }
  await third.message('I like that it says what it is doing while it is away.').hover();
  await third.page.getByLabel(/^Message to/).fill('Thursday it is. I will');
  await third.page.screenshot({ path: resolve(root, 'docs/images/chat.png') });
});
