import { defineConfig } from '@playwright/test';

/**
 * The page in the system's Chromium, against a running stack: PARLEY_BASE_URL, as scripts/up printed it.
 * Tests that kill and start services also take PARLEY_RUN_DIR and PARLEY_PORT_OFFSET, as scripts/up does.
 */
export default defineConfig({
  testDir: '.',
  outputDir: '../../web/test-results',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  retries: 0,
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  reporter: [['list']],
  use: {
    baseURL: process.env.PARLEY_BASE_URL ?? 'http://127.0.0.1:8080',
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
