import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Of a store's folder. */
export const DATA_FILE = 'data.mdb';
/** LMDB makes it before it makes the file of the rows. */
export const LOCK_FILE = 'lock.mdb';
/** Where it stands in the lock file which transaction was the last, and how many bytes that has (`MDB_txbody` of LMDB). */
const LAST_TXN_AT = 8;
const TXN_BYTES = 8;

/**
 * Whether a store was begun in this folder. Where the process died between making the file of the rows and writing to it, that is
 * empty, and by the lock file nothing was ever stored: then there is none yet. An empty file of which that is not known was one, and is damaged.
 *
 * @throws Error of node:fs
 */
export function isBegun(folder: string): boolean {
  const path = join(folder, DATA_FILE);
  if (!existsSync(path)) return false;
  const file = statSync(path);
  return !file.isFile() || file.size > 0 || !hasNoTransaction(join(folder, LOCK_FILE));
}

function hasNoTransaction(lockFile: string): boolean {
  if (!existsSync(lockFile)) return false;
  const last = Buffer.alloc(TXN_BYTES);
  const descriptor = openSync(lockFile, 'r');
  try {
    readSync(descriptor, last, 0, TXN_BYTES, LAST_TXN_AT); // one that ends before that says the same as zeros
  } finally {
    closeSync(descriptor);
  }
  return last.readBigUInt64LE() === 0n;
}
