/**
 * `node scripts/on-node.mjs 20 22 24`: the client's engine, stores and acceptance suite under other versions of Node, which npm carries as
 * packages. They are fetched into `~/.cache/mlsd/node` once. Exits 1 when one of them fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const SUITE = [
  'test/client/acceptance',
  'test/client/engine',
  'test/client/store',
  'test/client/transport',
  'test/house/engine-imports.test.ts',
];
const PACKAGE = `node-${process.platform}-${process.arch}`;
const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mlsd', 'node');
const ROOT = join(import.meta.dirname, '..');

/** The program of the newest release of a major version. */
function fetchNode(major) {
  const folder = join(CACHE, major);
  const program = join(folder, 'node_modules', PACKAGE, 'bin', 'node');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${PACKAGE}@${major}`], folder);
  return program;
}

function run(program, args, cwd) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed`, { cause: error });
}

const majors = process.argv.slice(2);
if (majors.length === 0 || majors.some((major) => !/^\d+$/.test(major))) {
  console.error('usage: node scripts/on-node.mjs MAJOR...');
  process.exit(2);
}
let failed = false;
for (const major of majors) {
  try {
    const program = fetchNode(major);
    run(program, ['--version'], ROOT);
    run(program, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...SUITE], ROOT);
  } catch (error) {
    console.error(`Node ${major}: ${error.message}`);
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
