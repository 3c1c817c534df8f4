/** `tsx rebuild-half.ts FOLDER`: rebuilds the tables of a stopped server, and stops for ever when half of them is written. */
import type { LogEntry } from '../../src/log/reader.ts';
import { rebuildProjections } from '../../src/projections/rebuild.ts';
import { openSite } from '../../src/tools/site.ts';
import { siteOptions } from './support.ts';

const site = await openSite(siteOptions(process.argv[2]!));
const log = await site.openLog();
await rebuildProjections({
  dir: site.tablesFolder,
  cursorKey: new Uint8Array(32),
  onProgress: ({ sequence }) => console.log(`written ${sequence}`),
  log: {
    async read(options) {
      const reader = await log.read({ ...options, batchMaxEvents: 100 });
      const { tail } = reader;
      return {
        tail,
        async *[Symbol.asyncIterator](): AsyncGenerator<readonly LogEntry[]> {
          for await (const batch of reader) {
            yield batch;
            if (batch.at(-1)!.sequence >= tail / 2) await new Promise(() => setInterval(() => undefined, 1_000));
          }
        },
      };
    },
  },
});
