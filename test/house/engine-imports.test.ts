import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const SOURCES = join(ROOT, 'src');
/** What runs wherever the language does; the cipher suite and everything else of the world is handed in. */
const ENTRIES = ['client/engine', 'mls/session', 'wire'];
/** A whole client for browsers: their cipher suite, their HTTP, the same engine and runner. */
const BROWSER_ENTRY = join(SOURCES, 'client/web.ts');
const isOfAMachine = ({ name }: Import): boolean => isBuiltin(name) || ['lmdb', 'nats', 'koa'].includes(name);
/** `import type` and `export type` leave nothing behind. */
const IMPORT = /^\s*(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm;

interface Import {
  readonly by: string;
  readonly name: string;
}

/** Everything that these files import, directly or through files of their own. */
function importsReachableFrom(files: readonly string[]): {
  readonly files: number;
  readonly foreign: readonly Import[];
} {
  const seen = new Set(files);
  const foreign: Import[] = [];
  for (const file of seen) {
    for (const [, named, loaded] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const name = named ?? loaded!;
      if (name.startsWith('.')) seen.add(join(dirname(file), name));
      else foreign.push({ by: relative(ROOT, file), name });
    }
  }
  return { files: seen.size, foreign };
}

const entries = ENTRIES.flatMap((folder) =>
  readdirSync(join(SOURCES, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(SOURCES, folder, file)),
);

test('nothing of Node, of a database or of the network can be reached from the engine', () => {
  const { foreign, files } = importsReachableFrom(entries);
  expect(files).toBeGreaterThan(entries.length);
  expect(foreign.filter(isOfAMachine)).toEqual([]);
  expect(foreign.some(({ by, name }) => by.startsWith('src/mls') && name === 'ts-mls')).toBe(true);
});

test('nor from the package entry for browsers, which reaches the runner as well', () => {
  const { foreign, files } = importsReachableFrom([BROWSER_ENTRY]);
  expect(files).toBeGreaterThan(100);
  expect(foreign.filter(isOfAMachine)).toEqual([]);
});

test('the walk sees what a file imports, however it says so', () => {
  const { foreign } = importsReachableFrom([join(SOURCES, 'mls/suite-node.ts'), join(SOURCES, 'client/index.ts')]);
  const names = new Set(foreign.map(({ name }) => name));
  for (const name of ['node:crypto', 'lmdb', 'node:worker_threads']) expect(names).toContain(name);
});
