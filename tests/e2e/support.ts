import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test as base, type APIRequestContext, type Browser, type BrowserContextOptions, type Page } from '@playwright/test';
import { root } from './stack.js';

/** Where pictures for people go; not in git. */
export const picture = (name: string): string => resolve(root, 'web/test-results/pictures', `${name}.png`);

export interface Session {
  token: string;
  userId: string;
  name: string;
}

let counter = 0;

/** A name that no earlier run has used. */
export const unique = (what: string): string => `${what}-${Date.now().toString(36)}${(counter++).toString(36)}`;

export async function demoSession(request: APIRequestContext, name: string): Promise<Session> {
  const response = await request.post('/api/demo/session', { data: { name } });
  expect(response.ok(), await response.text()).toBe(true);
  return (await response.json()) as Session;
}

/** A new open channel. Its id. */
export async function createChannel(request: APIRequestContext, owner: Session, name: string): Promise<string> {
  const headers = { Authorization: `Bearer ${owner.token}` };
  const response = await request.post('/api/channels', { headers, data: { name, kind: 'open' } });
  expect(response.ok(), await response.text()).toBe(true);
  const body = (await response.json()) as { id?: string; channel?: { id: string } };
  return body.id ?? body.channel!.id;
}

export async function join(request: APIRequestContext, user: Session, channelId: string): Promise<void> {
  const headers = { Authorization: `Bearer ${user.token}` };
  const response = await request.post(`/api/channels/${channelId}/join`, { headers });
  expect(response.ok(), await response.text()).toBe(true);
}

/** Sends messages through the built SDK, in the page. Resolves when all of them are stored. */
export async function seed(page: Page, session: Session, channelId: string, contents: string[]): Promise<void> {
  await page.evaluate(
    async ({ token, channelId, contents }) => {
      const address = '/sdk/parley.js';
      const { ParleyClient } = await import(address);
      const client = new ParleyClient({ token: () => token });
      const wait = (done: () => boolean) =>
        new Promise<void>((resolve) => {
          const look = () => done() && resolve();
          client.on('channel', look);
          client.on('state', () => queueMicrotask(look));
        });
      const ready = wait(() => client.channel(channelId) !== undefined);
      client.connect();
      await ready;
      const stored = () => client.channel(channelId).messages.filter((each: { status: string }) => each.status === 'sent');
      const seen = new Set<string>();
      const ids = new Set<string>();
      const all = wait(() => {
        for (const each of stored()) seen.add(each.id);
        return ids.size === contents.length && [...ids].every((id) => seen.has(id));
      });
      for (const content of contents) ids.add(client.send(channelId, content));
      await all;
      client.close();
    },
    { token: session.token, channelId, contents },
  );
}

interface Finding {
  id: string;
  nodes: { target: unknown }[];
}

/** Everything that axe-core finds, as text. It is evaluated, not put in the page: the policy forbids foreign scripts. */
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(resolve(root, 'web/node_modules/axe-core/axe.min.js'), 'utf8'));
  const { violations } = await page.evaluate(() => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: Finding[] }> } };
    return axe.run();
  });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${JSON.stringify(node.target)}`));
}

/** A window with one person signed in, in one channel. */
export class Window {
  constructor(readonly page: Page) {}

  get messages() {
    return this.page.locator('.message');
  }

  message(text: string) {
    return this.messages.filter({ has: this.page.getByText(text, { exact: true }) });
  }

  async write(text: string): Promise<void> {
    await this.page.getByLabel(/^Message to/).fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Contents of all messages that are shown. */
  contents(): Promise<string[]> {
    return this.page.locator('.message .text').allInnerTexts();
  }

  status() {
    return this.page.locator('.dot');
  }
}

interface Fixtures {
  /** Opens a window, signs in by name or as somebody who is signed in, and waits until it is connected. */
  enter: (who: string | Session, channelId?: string, options?: BrowserContextOptions) => Promise<Window>;
}

/** Fails a test whose pages threw, or were stopped by the content security policy. */
export const test = base.extend<Fixtures>({
  enter: async ({ browser, baseURL }, use) => {
    const troubles: string[] = [];
    const pages: Page[] = [];
    await use(async (who, channelId = 'general', options = {}) => {
      const page = await newPage(browser, baseURL!, options, troubles);
      pages.push(page);
      if (typeof who !== 'string') await page.addInitScript(signedIn, JSON.stringify(who));
      await page.goto(`/#${channelId}`);
      if (typeof who === 'string') {
        await page.getByLabel('Your name').fill(who);
        await page.keyboard.press('Enter');
      }
      const window = new Window(page);
      await expect(window.status()).toHaveText('Connected');
      return window;
    });
    for (const page of pages) await page.context().close();
    expect(troubles).toEqual([]);
  },
});

function signedIn(session: string): void {
  sessionStorage.setItem('parley.session', session);
}

async function newPage(browser: Browser, baseURL: string, options: BrowserContextOptions, troubles: string[]): Promise<Page> {
  const context = await browser.newContext({ baseURL, viewport: { width: 1000, height: 700 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) troubles.push(message.text());
  });
  return page;
}

export { expect };
