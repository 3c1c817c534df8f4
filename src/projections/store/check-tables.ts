import { setTimeout as delay } from 'node:timers/promises';
import type { RootDatabase, Transaction } from 'lmdb';
import { equalBytes } from '../../wire/bytes.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET } from '../fold/entry-row.ts';
import { entryKey, numberKey, numberOfKey, TABLE } from '../fold/keys.ts';
import { groupHeads } from '../fold/rows.ts';
import { isIntact, openRow } from './sealed-row.ts';

type Db = RootDatabase<Uint8Array, Uint8Array>;

/** Between two turns of the event loop, while nothing is served yet. */
const SLICE_ROWS = 10_000;
/** Read at once all the same, some 20 ms: of small tables nothing is ever used that was not looked at. */
const FIRST_ROWS = 5_000;
/** Beside what is being served: about 2 ms at a time, in a third of the time. */
const BESIDE_SLICE_ROWS = 500;
const BESIDE_PAUSE_MS = 4;
/** Rows of state read before the tables are used, a third of a second; what is left is read beside, and when it is asked for. */
const STATE_ROWS_MAX = 100_000;
/** Groups whose last entry is looked at before the tables are used. */
const LAST_ENTRIES_MAX = 10_000;

/** First bytes of keys, without the last: tables that hold how things stand. The others grow with all that happens. */
const STATE: readonly (readonly [from: number, end: number])[] = [
  [TABLE.group, TABLE.groupInfo],
  [TABLE.pendingProposals, TABLE.logStart + 1],
  [TABLE.account, TABLE.lane + 1],
  [TABLE.stock, TABLE.stock + 1],
];

/** How many numbers were given out by the fold that made the tables. */
interface Counted {
  readonly groups: number;
  readonly devices: number;
}

/**
 * What can be said about the tables without reading what grows with history: every group has its head, the last entry of each is
 * the one its head names, every device has its number, and rows of state are what was written. An entry is looked at when it
 * is read, and {@link checkBeside} finds what nobody asks for.
 *
 * @param counted absent: there is no checkpoint, and then there must be no rows
 */
export function stateIsIntact(db: Db, counted: Counted | undefined): boolean {
  try {
    if (counted === undefined) return [...db.getKeys({ start: Uint8Array.of(TABLE.meta + 1), limit: 1 })].length === 0;
    return headsAreIntact(db, counted.groups) && stateRowsAreIntact(db, counted.devices);
  } catch {
    return false;
  }
}

function headsAreIntact(db: Db, groups: number): boolean {
  let number = 0;
  for (const { key, value } of db.getRange({ start: numberKey(TABLE.head, 0), end: Uint8Array.of(TABLE.head + 1) })) {
    number += 1;
    if (numberOfKey(key) !== number) return false;
    const head = groupHeads.decode(openRow(key, value));
    if (number > LAST_ENTRIES_MAX) continue;
    const lastKey = entryKey(number, head.position);
    const last = db.get(lastKey);
    if (last === undefined) return false;
    if (!equalBytes(openRow(lastKey, last).subarray(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET), head.hash)) return false;
  }
  return number === groups;
}

function stateRowsAreIntact(db: Db, devices: number): boolean {
  let room = STATE_ROWS_MAX;
  let numbers = 0;
  for (const [from, end] of STATE) {
    let last: Uint8Array | undefined;
    for (const { key, value } of db.getRange({ start: Uint8Array.of(from), end: Uint8Array.of(end), limit: room })) {
      if (!isIntact(key, value) || (last !== undefined && Buffer.compare(last, key) >= 0)) return false;
      if (key[0] === TABLE.deviceNumber) numbers += 1;
      last = key.slice();
      room -= 1;
    }
    if (room === 0) return true;
  }
  return numbers === devices;
}

/** Whether the file has every page that the tables say they have; pages at its end that hold nothing may be missing. */
export function hasAllPages(db: Db, fileBytes: number): boolean {
  const { lastPageNumber, pageSize } = db.getStats() as { readonly lastPageNumber: number; readonly pageSize: number };
  return fileBytes >= (lastPageNumber + 1) * pageSize;
}

/**
 * Reads every row once: whether each is what was written, keys ascend, and there are as many as the tables say. One bit
 * that flipped anywhere they are read from shows here; a page that cannot be walked at all ends the process, which a marker
 * tells the next start.
 */
export function areIntact(db: Db): Promise<boolean> {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return walk(db, { firstRows: SLICE_ROWS, sliceRows: SLICE_ROWS, pause: turn });
}

/**
 * As {@link areIntact}, of the tables as they are now, while they are in use: small ones at once, of others a little at a time.
 * Space that is freed meanwhile is not used again before it is done.
 *
 * @throws the signal's reason; the tables may be closed only after that
 */
export function checkBeside(db: Db, signal: AbortSignal): Promise<boolean> {
  const pause = (): Promise<void> => delay(BESIDE_PAUSE_MS, undefined, { signal });
  return walk(db, { firstRows: FIRST_ROWS, sliceRows: BESIDE_SLICE_ROWS, pause });
}

async function walk(
  db: Db,
  by: { readonly firstRows: number; readonly sliceRows: number; readonly pause: () => Promise<void> },
): Promise<boolean> {
  const transaction = db.useReadTransaction();
  try {
    const { entryCount } = db.getStats() as { readonly entryCount: number };
    let count = 0;
    let last: Uint8Array | undefined;
    for (let limit = by.firstRows; ; limit = by.sliceRows) {
      const slice = readSlice(db, { after: last, limit, transaction });
      if (slice === undefined) return false;
      count += slice.rows;
      if (count > entryCount) return false;
      if (slice.rows < limit) return count === entryCount;
      last = slice.last;
      await by.pause();
    }
  } finally {
    transaction.done();
  }
}

/** `undefined` where a row is not what was written, or cannot be read. */
function readSlice(
  db: Db,
  at: { readonly after: Uint8Array | undefined; readonly limit: number; readonly transaction: Transaction },
): { readonly rows: number; readonly last: Uint8Array | undefined } | undefined {
  const { after, limit, transaction } = at;
  const start = after === undefined ? {} : { start: Uint8Array.of(...after, 0) };
  let rows = 0;
  let last = after;
  try {
    for (const { key, value } of db.getRange({ ...start, limit, transaction })) {
      if (!isIntact(key, value) || (last !== undefined && Buffer.compare(last, key) >= 0)) return undefined;
      rows += 1;
      last = key.slice();
    }
  } catch {
    return undefined;
  }
  return { rows, last };
}
