import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as entry from '../../../src/client/index.ts';
import * as browserEntry from '../../../src/client/web.ts';
import { startServer, type TestServer } from '../../support/server.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PAGE = readFileSync(join(ROOT, 'docs/CLIENT.md'), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
const TIMEOUT_MS = 240_000;

const folder = mkdtempSync(join(tmpdir(), 'documented-'));
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
}, TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}, TIMEOUT_MS);

/** Runs an example of the page as a program of its own, against the server of this test. */
async function run(example: string): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const file = join(folder, `${EXAMPLES.indexOf(example)}.mts`);
  const entryUrl = pathToFileURL(join(ROOT, 'src/client/index.ts')).href;
  const here = example
    .replace("'mlsd/client'", `'${entryUrl}'`)
    .replace('http://localhost:4000', server.url())
    .replace("'./", `'${folder}/`);
  writeFileSync(file, here);
  const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

test('the examples of docs/CLIENT.md run as they stand, and say what the page says', {
  timeout: TIMEOUT_MS,
}, async () => {
  const [inMemory, inFolder] = EXAMPLES as [string, string];
  expect(EXAMPLES).toHaveLength(2);
  expect(await run(inMemory)).toEqual({ code: 0, out: '<teabot> the kettle is on\n', err: '' });
  expect(await run(inFolder)).toEqual({ code: 0, out: 'created\nfolder-locked\n', err: '' });
});

test('the package entry is what package.json and the page name', () => {
  const { exports, files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
    files: string[];
  };
  expect(exports['./client']).toEqual({
    browser: { types: './dist/client/web.d.ts', default: './dist/client/web.js' },
    types: './dist/client/index.d.ts',
    default: './dist/client/index.js',
  });
  expect(files).toContain('dist');
  for (const name of Object.keys(entry)) expect(PAGE, name).toContain(name);
  // what runs in both is imported alike
  expect(Object.keys(entry)).toEqual(expect.arrayContaining(Object.keys(browserEntry)));
});
