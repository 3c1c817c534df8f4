import { join } from 'node:path';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';

/** What runs in Chromium; test/browser/chromium.test.ts starts it, with a program and a server to talk to. */
const { MLSD_CHROMIUM: executablePath, MLSD_SERVER: server } = process.env;
if (executablePath === undefined || server === undefined) throw new Error('run npm run browser instead');

/** Until the browser runs, on a machine that has much else to do. */
const START_MS = 300_000;

export default defineConfig({
  resolve: {
    alias: [
      { find: /^.*\/mls\/suite-node\.ts$/, replacement: join(import.meta.dirname, 'test/browser/suite-node.ts') },
    ],
  },
  // pages and server have one origin, as behind a web server; requests are signed for the host that the page sees
  server: { proxy: { '/v1': { target: server }, '/.well-known/mlsd': { target: server } } },
  test: {
    include: [
      'test/browser/*.browser.ts',
      'test/client/engine/*.test.ts',
      'test/mls/{session,values,private-handshakes,removed-member}.test.ts',
    ],
    testTimeout: 900_000,
    hookTimeout: 300_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      connectTimeout: START_MS,
      // the pages are these tests, and a container often has no other way
      provider: playwright({ launchOptions: { executablePath, args: ['--no-sandbox'], timeout: START_MS } }),
      instances: [{ browser: 'chromium' }],
      api: { host: '127.0.0.1', port: 0 },
    },
  },
});
