import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { tempFolder } from '../support/nats.ts';
import { startServer } from '../support/server.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Of what runs in there: a browser that hangs is ended, and what it said until then is shown. */
const RUN_MS = 600_000;

const found = spawnSync(process.execPath, [join(ROOT, 'scripts/chromium.mjs')], { encoding: 'utf8' });
const program = found.status === 0 ? found.stdout.trim() : undefined;
if (program === undefined) console.warn(`skipped in a browser: ${found.stderr.trim()}`);

interface Report {
  readonly success: boolean;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly title: string }[];
  }[];
}

test.skipIf(program === undefined)(
  'the engine’s own tests, those of MLS sessions and the acceptance suite pass in headless Chromium',
  async () => {
    await using folder = await tempFolder();
    await using server = await startServer();
    const file = join(folder.path, 'report.json');
    const args = ['run', '--config', 'vitest.browser.config.ts', '--reporter=json', `--outputFile=${file}`];
    const child = spawn(process.execPath, [join(ROOT, 'node_modules/vitest/vitest.mjs'), ...args], {
      cwd: ROOT,
      env: { ...process.env, MLSD_CHROMIUM: program!, MLSD_SERVER: server.url() },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_MS,
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    const report = readReport(file);
    expect(report?.success, `${code}\n${out}\n${err}\n${JSON.stringify(report, undefined, 1)}`).toBe(true);
    // each file that is meant to run there did, and said something
    const ran = report!.testResults.filter(({ assertionResults }) =>
      assertionResults.some(({ status }) => status === 'passed'),
    );
    const names = ran.map(({ name }) => name);
    for (const engineTest of readdirSync(join(ROOT, 'test/client/engine'))) {
      expect(names).toContainEqual(expect.stringContaining(engineTest));
    }
    expect(names).toContainEqual(expect.stringContaining('acceptance.browser.ts'));
    expect(code).toBe(0);
  },
);

test.skipIf(program !== undefined)('without Chromium it is said how to get it', () => {
  expect(found.stderr).toContain('npm run browser');
});

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined; // it ended before it could write one; what it said is shown
  }
}
