/**
 * Finds a Chromium for the tests that run in one, and prints its path: `MLSD_CHROMIUM`, one on `PATH`, one in `~/.cache/mlsd`.
 * With `--get` one is fetched into that cache where there is none: 100 MB from the Debian archive that this machine's apt
 * uses, without root. Exits 1, with the reason, when there is none.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
const PACKAGE = 'chromium-headless-shell';
const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mlsd');
const CACHED = join(CACHE, 'chromium');
const TRY_MS = 60_000;

function find() {
  const named = process.env['MLSD_CHROMIUM'];
  if (named !== undefined && named !== '') return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const onPath = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...onPath, join(CACHED, 'chromium')].find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The package and what it needs that is not installed, unpacked beside each other; whole, or not at all. */
function get() {
  if (!['/usr/bin/apt-get', '/usr/bin/dpkg'].every(existsSync)) {
    throw new Error('this machine has no apt: install Chromium, or let MLSD_CHROMIUM name one');
  }
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'chromium-'));
  try {
    const state = join(folder, 'apt');
    const archives = join(state, 'archives');
    for (const part of [join(archives, 'partial'), join(state, 'lists', 'partial')])
      mkdirSync(part, { recursive: true });
    const config = join(state, 'apt.conf');
    writeFileSync(config, aptConfig(state));
    const apt = (...args) => run('apt-get', ['-c', config, '-q', ...args], 'inherit');
    apt('update');
    apt('install', '--yes', '--download-only', '--no-install-recommends', PACKAGE);
    for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
      run('dpkg', ['-x', join(archives, file), join(folder, 'unpacked')], 'inherit');
    }
    rmSync(state, { recursive: true });
    const program = join(folder, 'chromium');
    writeFileSync(program, STARTER, { mode: 0o755 });
    run(program, ['--version'], 'ignore');
    rmSync(CACHED, { recursive: true, force: true });
    renameSync(folder, CACHED);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Read after the system's own settings: its sources and proxies stay in force, its state is left alone. */
function aptConfig(folder) {
  return `#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State ${JSON.stringify(folder)};
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache ${JSON.stringify(folder)};
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
`;
}

/** Its libraries are beside it, and those of the system are the system's. */
const STARTER = `#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/unpacked/usr/lib
for folder in "$lib"/*-linux-gnu; do
  libraries="$folder:$folder/pulseaudio:$libraries"
done
LD_LIBRARY_PATH="$libraries$LD_LIBRARY_PATH" exec "$lib/chromium/${PACKAGE}" "$@"
`;

function run(program, args, stdout) {
  // what a program says is for people, and the path alone for whoever called
  execFileSync(program, args, {
    stdio: ['ignore', stdout === 'inherit' ? 2 : stdout, 2],
    timeout: stdout === 'inherit' ? 0 : TRY_MS,
  });
}

try {
  if (process.argv.includes('--get') && find() === undefined) get();
  const program = find();
  if (program === undefined) throw new Error('there is no Chromium here: npm run browser gets one');
  console.log(program);
} catch (error) {
  console.error(`chromium: ${error.message}`);
  process.exitCode = 1;
}
