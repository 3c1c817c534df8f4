// Preloaded (`--expose-gc --require`) into a process whose memory is watched: each of its threads writes down, again and
// again, what is left of its heap after a full collection, apart from the code that V8 makes of what is called, as bytes and, when
// it is called often, for the machine. Knows of nothing else in that process, and keeps nothing alive.
const { appendFileSync } = require('node:fs');
const { join } = require('node:path');
const { getHeapCodeStatistics } = require('node:v8');
const { threadId } = require('node:worker_threads');

const EVERY_MS = 10_000;
const folder = process.env['MLSD_TEST_HEAP_DIARY'];

if (folder !== undefined) {
  setInterval(() => {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
    appendFileSync(
      join(folder, `${process.pid}-${threadId}`),
      `${Date.now()} ${heapUsed + external - code - bytecode}\n`,
    );
  }, EVERY_MS).unref();
}
