import { defineConfig } from '@playwright/test';
import { chooseStack } from './stack.js';

/**
 * The page in the system's Chromium, against a real stack: the one at PARLEY_BASE_URL (then with the PARLEY_RUN_DIR and
 * PARLEY_PORT_OFFSET that it was started with, for the tests that kill a service), or else one that is started for it.
 */
const baseURL = await chooseStack();

export default defineConfig({
  testDir: '.',
  globalSetup: './stack.ts',
  outputDir: '../../web/test-results',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  retries: 0,
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  reporter: [['list']],
  use: {
    baseURL,
    viewport: { width: 1000, height: 700 },
    locale: 'en-GB',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.PARLEY_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
});
