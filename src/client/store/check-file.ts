import { readFileSync, statSync } from 'node:fs';
import {
  childrenOf,
  type LeafRow,
  type LmdbFile,
  leafRowsOf,
  NOT_SYNCED,
  openLmdbFile,
  outlineOf,
  pageFault,
  type Snapshot,
} from './lmdb-file.ts';

/** Of a page's number in a list of free ones. */
const ID_BYTES = 8;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * Looks at a store's file before LMDB maps it, which trusts what it finds: a damaged one can end the process, or lead it to an
 * older state without a word. All pages that hold something are looked at, not the values on them.
 *
 * @returns why the file must not be opened, for people; `undefined` when nothing speaks against it
 * @throws Error of node:fs
 */
export function faultOfFile(path: string): string | undefined {
  if (!statSync(path).isFile()) return 'it is no file';
  using file = openLmdbFile(path);
  const first = file.meta('first');
  const second = file.meta('second');
  if (typeof first === 'string') return first;
  if (typeof second === 'string') return second;
  const synced = file.meta('synced');
  if (typeof synced === 'string' && synced !== NOT_SYNCED) return synced;
  const newest = first.txn > second.txn ? first : second;
  // transactions write the two in turns: were one of them lost, the other one would be taken for the newest
  const inTurns = Math.abs(first.txn - second.txn) === 1 || (first.txn === 0 && second.txn === 0);
  const isKnown = inTurns || isCutOff([first, second, synced]);
  if (!isKnown || (typeof synced !== 'string' && synced.txn > newest.txn)) return 'its beginning is damaged';
  return faultOfSnapshot(file, openedByLmdb(first, second, typeof synced === 'string' ? undefined : synced));
}

/**
 * Whether the two that take turns are apart because the machine went down while what was written since the last sync was on its way
 * to the disk: one of them arrived. LMDB goes back to what was synced then, and nothing newer has left this device.
 */
export function isCutOff([first, second, synced]: readonly (Snapshot | string | undefined)[]): boolean {
  if (typeof first !== 'object' || typeof second !== 'object' || typeof synced !== 'object') return false;
  const newest = first.txn > second.txn ? first : second;
  return !mayBeOfThisBoot(newest) && newest.unsynced && synced.txn >= Math.min(first.txn, second.txn);
}

/**
 * The snapshot that LMDB opens: the newest, or, after the machine was started anew, one that is known to be on the disk. Where it
 * cannot be known when the machine was started: the newest.
 */
function openedByLmdb(first: Snapshot, second: Snapshot, synced: Snapshot | undefined): Snapshot {
  const pick = (a: Snapshot, b: Snapshot): Snapshot => {
    if (b.txn === 0) return a;
    const latest = a.txn >= b.txn ? a : b;
    if (mayBeOfThisBoot(latest) || !latest.unsynced) return latest;
    return a.txn > b.txn ? b : a;
  };
  const picked = pick(first, second);
  return synced === undefined ? picked : pick(picked, synced);
}

/** Whether the machine was not started anew since it was written, as far as that can be known here. */
function mayBeOfThisBoot({ boot }: Snapshot): boolean {
  const now = bootOfMachine();
  return now === undefined || (boot !== 0n && boot === now);
}

function bootOfMachine(): bigint | undefined {
  try {
    return BigInt(`0x${readFileSync(BOOT_ID, 'utf8').split('-', 1)[0]}`);
  } catch {
    return undefined;
  }
}

/** Why a snapshot cannot be walked; `undefined` when it can. */
export function faultOfSnapshot(file: LmdbFile, snapshot: Snapshot): string | undefined {
  const used = new Uint8Array(Math.min(snapshot.lastPage + 1, file.pages));
  const free: LeafRow[] = [];
  for (const which of ['main', 'free'] as const) {
    const { root, depth, rows } = snapshot[which];
    const walk: Walk = { file, snapshot, used, ...(which === 'free' ? { free } : {}) };
    const counted = root === undefined ? 0 : countRows(walk, { number: root, depth });
    if (typeof counted === 'string') return counted;
    if (counted !== rows) return `it has ${counted} rows in place of ${rows}`;
  }
  for (const { value, big } of free) {
    const list = big === undefined ? value : file.big(big, snapshot.txn);
    const fault = list === undefined ? 'its free pages are not all known' : freeFault(list, used, snapshot.lastPage);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

interface Walk {
  readonly file: LmdbFile;
  readonly snapshot: Snapshot;
  /** 1: a page that something stands on. */
  readonly used: Uint8Array;
  /** Collects the rows of the tree of free pages. */
  readonly free?: LeafRow[];
}

interface Place {
  readonly number: number;
  /** 1: a leaf. */
  readonly depth: number;
  /** Keys there are not smaller than this, and smaller than `to`. */
  readonly from?: Buffer | undefined;
  readonly to?: Buffer | undefined;
}

function use({ used }: Walk, number: number): string | undefined {
  if (number < 2 || number >= used.length) return `page ${number} is not in it`;
  if (used[number] === 1) return `page ${number} is used twice`;
  used[number] = 1;
  return undefined;
}

/** The rows below a page; a text says why they cannot be counted. */
function countRows(walk: Walk, { number, depth, from, to }: Place): number | string {
  const wrong = use(walk, number);
  if (wrong !== undefined) return wrong;
  const page = walk.file.page(number);
  if (page === undefined) return `it ends before page ${number}`;
  const fault = pageFault(page, number, depth === 1 ? 'leaf' : 'branch', walk.snapshot.txn);
  if (fault !== undefined) return `page ${number} ${fault}`;
  if (depth === 1) return countLeaf(walk, page, { number, depth, from, to });
  const children = childrenOf(page);
  let rows = 0;
  for (const [index, child] of children.entries()) {
    const [low, high] = [index === 0 ? from : child.key, children[index + 1]?.key ?? to];
    const isOrdered = walk.free !== undefined || low === undefined || high === undefined || low.compare(high) < 0;
    if (!isOrdered) return `page ${number} is out of order`;
    const below = countRows(walk, { number: child.number, depth: depth - 1, from: low, to: high });
    if (typeof below === 'string') return below;
    rows += below;
  }
  return rows;
}

function countLeaf(walk: Walk, page: Buffer, { number, from, to }: Place): number | string {
  const { rows, first, last, bigs } = outlineOf(page);
  const isWithin = (from === undefined || first.compare(from) >= 0) && (to === undefined || last.compare(to) < 0);
  // numbers of transactions are not ordered as bytes
  if (walk.free === undefined && !isWithin) return `page ${number} is out of order`;
  for (const row of walk.free === undefined ? [] : leafRowsOf(page)) if (row !== undefined) walk.free?.push(row);
  for (const big of bigs) {
    if (walk.file.big({ ...big, length: 0 }, walk.snapshot.txn) === undefined) {
      return `page ${big.number} is not the page it should be`;
    }
    for (let each = big.number; each < big.number + big.pages; each += 1) {
      const wrong = use(walk, each);
      if (wrong !== undefined) return wrong;
    }
  }
  return rows;
}

/** A list of free pages that named one in use would have it overwritten. */
function freeFault(list: Uint8Array, used: Uint8Array, lastPage: number): string | undefined {
  const view = new DataView(list.buffer, list.byteOffset, list.length);
  const at = (index: number): number => Number(view.getBigInt64(index * ID_BYTES, true));
  const count = list.length < ID_BYTES ? 0 : at(0);
  if (count < 0 || (count + 1) * ID_BYTES > list.length) return 'its free pages are not all known';
  for (let index = 1; index <= count; index += 1) {
    // a negative number: so many neighbours, the first of which comes next
    const pages = Math.max(1, -at(index));
    if (at(index) < 0) index += 1;
    const first = at(index);
    if (pages > lastPage || first < 0 || first + pages - 1 > lastPage) return 'a free page is not in it';
    for (let page = first; first > 0 && page < first + pages; page += 1) {
      if (used[page] === 1) return `page ${page} is free and used`;
    }
  }
  return undefined;
}
