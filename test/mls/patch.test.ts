import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LIBRARY = 'node_modules/ts-mls';
const PATCHED = [
  'clientState.js',
  'codec/variableLength.d.ts',
  'codec/variableLength.js',
  'createCommit.js',
  'index.d.ts',
  'index.js',
  'pathSecrets.js',
  'processMessages.js',
];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mlsd-patch-'));
  cpSync(join(ROOT, LIBRARY), join(folder, LIBRARY), { recursive: true });
  cpSync(join(ROOT, 'patches'), join(folder, 'patches'), { recursive: true });
  const dependencies = { 'ts-mls': '1.6.4' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'x', version: '1.0.0', dependencies }));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function patchPackage(...flags: string[]): number | null {
  const script = join(ROOT, 'node_modules/patch-package/index.js');
  return spawnSync(process.execPath, [script, ...flags], { cwd: folder, stdio: 'ignore' }).status;
}

const contents = (root: string) => PATCHED.map((file) => readFileSync(join(root, LIBRARY, 'dist/src', file), 'utf8'));

test('the patch applies to the library as published, and a second time changes nothing', () => {
  const patched = contents(ROOT);
  expect(patchPackage('--reverse')).toBe(0);
  const published = contents(folder);
  for (const [i, content] of published.entries()) expect(content).not.toBe(patched[i]);
  expect(patchPackage('--error-on-fail')).toBe(0);
  expect(contents(folder)).toEqual(patched);
  expect(patchPackage('--error-on-fail')).toBe(0);
  expect(contents(folder)).toEqual(patched);
});

test('a library whose code is another one is not patched, loudly', () => {
  expect(patchPackage('--reverse')).toBe(0);
  const file = join(folder, LIBRARY, 'dist/src/createCommit.js');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('externalPub', 'outsidePub'));
  const before = contents(folder);
  expect(patchPackage('--error-on-fail')).not.toBe(0);
  expect(contents(folder)).toEqual(before);
});
