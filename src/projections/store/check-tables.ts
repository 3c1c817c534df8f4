import type { RootDatabase } from 'lmdb';
import { isIntact } from './sealed-row.ts';

/** Between two turns of the event loop. */
const SLICE_ROWS = 10_000;

/**
 * Reads every row once: whether each is what was written, keys ascend, and there are as many as the tables say. One bit
 * that flipped anywhere they are read from shows here; a page that cannot be walked at all ends the process, which the
 * marker of the opening tells the next start.
 */
export async function areIntact(db: RootDatabase<Uint8Array, Uint8Array>): Promise<boolean> {
  const { entryCount } = db.getStats() as { readonly entryCount: number };
  let count = 0;
  let last: Buffer | undefined;
  for (;;) {
    let taken = 0;
    const start = last === undefined ? {} : { start: Buffer.concat([last, Buffer.alloc(1)]) };
    for (const { key, value } of db.getRange({ ...start, limit: SLICE_ROWS })) {
      taken += 1;
      if (!isIntact(key, value)) return false;
      if (last !== undefined && Buffer.compare(last, key) >= 0) return false;
      last = Buffer.from(key);
    }
    count += taken;
    if (count > entryCount) return false;
    if (taken < SLICE_ROWS) return count === entryCount;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
