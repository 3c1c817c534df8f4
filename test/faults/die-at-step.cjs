// Preloaded (`--require`) into a process that is to be killed in the middle of swapping one log for another. Its steps are the
// calls of node:fs/promises that make, rename, write, sync or remove the folder `.compacting` or what stands directly in it;
// each is written down in the file MLSD_TEST_STEPS as it begins. At step number MLSD_TEST_DIE_AT the process is killed
// instead of taking it; the removal of a folder that is there has two steps, the second in the middle of it.
const { appendFileSync, existsSync, readdirSync, rmSync, statSync } = require('node:fs');
const promises = require('node:fs/promises');
const { syncBuiltinESMExports } = require('node:module');
const { basename, dirname, join } = require('node:path');

const STEPS = ['mkdir', 'rename', 'writeFile', 'open', 'rm'];
const BESIDE = '.compacting';
/** The folder of the stream that is swapped. */
const STREAMS = join('nats', 'store', 'jetstream', '$G', 'streams');
const { MLSD_TEST_STEPS: log, MLSD_TEST_DIE_AT: dieAt } = process.env;
let taken = 0;

function step(name) {
  appendFileSync(log, `${name}\n`);
  if (taken === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
  taken += 1;
}

function removeHalf(folder) {
  const files = readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
  for (const path of files.slice(0, Math.ceil(files.length / 2))) rmSync(path);
}

function isOfTheSwap(name, paths) {
  if (name === 'rename') return paths.some((path) => path.includes(BESIDE));
  const [path] = paths;
  if (basename(path) === BESIDE) return true;
  // the folder of the new nats-server is that one's to make and to sync
  if (name === 'open') return path.endsWith(STREAMS) && !path.includes(BESIDE);
  return name === 'writeFile' && basename(dirname(path)) === BESIDE;
}

if (log !== undefined) {
  for (const name of STEPS) {
    const original = promises[name];
    promises[name] = (...args) => {
      const paths = args.slice(0, name === 'rename' ? 2 : 1).map(String);
      if (!isOfTheSwap(name, paths)) return original(...args);
      const what = [name, ...paths.map((path) => basename(path))].join(' ');
      step(what);
      if (name === 'rm' && existsSync(paths[0])) {
        if (taken === Number(dieAt)) removeHalf(paths[0]);
        step(`${what}, half done`);
      }
      return original(...args);
    };
  }
  syncBuiltinESMExports();
}
