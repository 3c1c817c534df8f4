// Preloaded (`--expose-gc --require`) into a process whose memory is watched: each of its threads writes down, again and
// again, what is left of its heap after a full collection. Knows of nothing else in that process, and keeps nothing alive.
const { appendFileSync } = require('node:fs');
const { join } = require('node:path');
const { threadId } = require('node:worker_threads');

const EVERY_MS = 10_000;
const folder = process.env['MLSD_TEST_HEAP_DIARY'];

if (folder !== undefined) {
  setInterval(() => {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    appendFileSync(join(folder, `${process.pid}-${threadId}`), `${Date.now()} ${heapUsed + external}\n`);
  }, EVERY_MS).unref();
}
