import { isCutOff } from '../store/check-file.ts';
import { isSummed } from '../store/keys.ts';
import {
  childrenOf,
  type LeafRow,
  type LmdbFile,
  leafRowsOf,
  META_PLACES,
  NOT_SYNCED,
  pageFault,
  type Snapshot,
} from '../store/lmdb-file.ts';
import { countRow, decodeSums, openRow, SUMS_KEY, sameSum, type TableSum } from '../store/row-sums.ts';

/** A row whose checksum fits, without it. */
export interface SoundRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What a damaged file still holds. */
export interface Salvage {
  /** Rows of the newest state that can be read, by {@link nameOf} of their keys. */
  readonly rows: ReadonlyMap<string, SoundRow>;
  /** Rows that are in no place of the newest state, the newest of each key: what they say may have changed since. */
  readonly older: ReadonlyMap<string, SoundRow>;
  /** Keys, as far as they can be read, of rows that are not what was written. */
  readonly damaged: readonly Uint8Array[];
  /** Whether a table (first byte of its keys) is known to be what was written last, but for the rows of `damaged`. */
  isProven(letter: number): boolean;
  /** How many rows a table should have; `undefined` where that is not known. */
  expected(letter: number): number | undefined;
  /** The store is from before there were checksums. */
  readonly isUnsummed: boolean;
  /** Whether every table that is summed adds up to what it should. */
  readonly isConsistent: boolean;
  /** What is wrong with the file, for people; empty when nothing is. */
  readonly faults: readonly string[];
}

const NOTHING: Salvage = {
  rows: new Map(),
  older: new Map(),
  damaged: [],
  isProven: () => false,
  expected: () => undefined,
  isUnsummed: false,
  isConsistent: false,
  faults: [],
};

/** Reads all rows of a file, damaged or not. */
export function salvage(file: LmdbFile): Salvage {
  const snapshots = snapshotsOf(file);
  const walks = snapshots.found.map((snapshot) => walk(file, snapshot));
  // of those that are whole the newest, as LMDB would: one that is newer and broken was never told to be on the disk
  const whole = walks.findIndex(({ faults, snapshot }) => faults.length === 0 && snapshot.txn >= snapshots.synced);
  const best = walks[whole === -1 ? 0 : whole];
  if (best === undefined) return { ...NOTHING, ...olderRows(file, NOTHING.rows, new Set()), faults: snapshots.faults };
  const judged = judge(best, snapshots.isCertain);
  const faults = [...snapshots.faults, ...best.faults];
  const older = judged.isUnsummed ? NOTHING : olderRows(file, judged.rows, best.seen);
  return { ...judged, older: older.older, faults };
}

interface Snapshots {
  /** Newest first. */
  readonly found: readonly Snapshot[];
  readonly faults: readonly string[];
  /** The last transaction that is known to have been on the disk. */
  readonly synced: number;
  /** The newest one of the file is among those that were found. */
  readonly isCertain: boolean;
}

function snapshotsOf(file: LmdbFile): Snapshots {
  const metas = META_PLACES.map((place) => file.meta(place));
  const found = metas.filter((meta) => typeof meta !== 'string').sort((a, b) => b.txn - a.txn);
  const faults = metas.filter((meta): meta is string => typeof meta === 'string' && meta !== NOT_SYNCED);
  const [first, second, synced] = metas.map((meta) => (typeof meta === 'string' ? undefined : meta.txn));
  const inTurns = first !== undefined && second !== undefined && Math.abs(first - second) === 1;
  const newest = found[0]?.txn ?? 0;
  // whatever left this device was synced before: one that was is as good as the newest
  const isSynced =
    synced !== undefined && newest === synced && (first ?? synced) <= synced && (second ?? synced) <= synced;
  const isCut = !inTurns && faults.length === 0 && isCutOff(metas);
  if (faults.length === 0 && !inTurns && !isCut && newest > 0) faults.push('its beginning is damaged');
  // where it is not known what was synced, nothing but the newest is known to be as new as what has left this device
  return { found, faults: [...new Set(faults)], synced: synced ?? newest, isCertain: inTurns || isSynced || isCut };
}

interface Walked {
  readonly snapshot: Snapshot;
  readonly rows: readonly (SoundRow & { readonly txn: number; readonly stored: Uint8Array })[];
  readonly damaged: readonly { readonly key: Uint8Array; readonly stored: Uint8Array }[];
  readonly faults: readonly string[];
  readonly seen: ReadonlySet<number>;
}

/** Walks a tree as far as it goes, no page twice. */
function walk(file: LmdbFile, snapshot: Snapshot): Walked {
  const rows: Walked['rows'][number][] = [];
  const damaged: Walked['damaged'][number][] = [];
  const faults: string[] = [];
  const seen = new Set<number>();
  const { root, depth } = snapshot.main;
  const waiting = root === undefined ? [] : [{ number: root, depth }];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const { number, depth: level } = place;
    const kind = level === 1 ? 'leaf' : 'branch';
    const page = number < 2 || seen.has(number) ? undefined : file.page(number);
    seen.add(number);
    const fault = page === undefined ? 'is not there' : pageFault(page, number, kind, snapshot.txn);
    if (fault !== undefined) faults.push(`page ${number} ${fault}`);
    if (page === undefined) continue;
    if (kind === 'branch') {
      for (const child of childrenOf(page)) waiting.push({ number: child.number, depth: level - 1 });
      continue;
    }
    const txn = Number(page.readBigUInt64LE(8));
    for (const row of leafRowsOf(page)) {
      const stored = row === undefined ? undefined : storedOf(file, row, snapshot.txn);
      if (row === undefined) continue;
      const value = stored === undefined ? undefined : openRow(row.key, stored);
      if (stored === undefined) faults.push(`a row on page ${number} has no value`);
      if (stored !== undefined && value !== undefined) rows.push({ key: row.key, value, stored, txn });
      else damaged.push({ key: row.key, stored: stored ?? new Uint8Array(0) });
    }
  }
  const count = rows.length + damaged.length;
  if (faults.length === 0 && count !== snapshot.main.rows)
    faults.push(`it has ${count} rows in place of ${snapshot.main.rows}`);
  return { snapshot, rows, damaged, faults, seen };
}

function storedOf(file: LmdbFile, { value, big }: LeafRow, newest: number): Uint8Array | undefined {
  return big === undefined ? value : file.big(big, newest);
}

function judge(walked: Walked, isCertain: boolean): Omit<Salvage, 'older' | 'faults'> {
  const { snapshot, rows, damaged } = walked;
  const top = rows.find(({ key }) => isSums(key));
  if (top === undefined && rows.length === 0) {
    // without any checksum that fits, in a store from before there were any, what can be read is taken for what it is
    const unsummed = damaged.filter(({ stored }) => stored.length > 0);
    const found = unsummed.map(({ key, stored }): SoundRow => ({ key, value: stored }));
    return { ...NOTHING, rows: byKey(found), isUnsummed: found.length > 0, isConsistent: true };
  }
  const found = new Map<number, TableSum>();
  for (const { key, stored } of [...rows, ...damaged])
    if (!isSums(key) && isSummed(key[0] ?? 0)) countRow(found, key, stored, 1);
  // every transaction writes the sums: on an older page they are those of an earlier one
  const isNewest = isCertain && top !== undefined && top.txn === snapshot.txn;
  const expected = top === undefined ? undefined : decodeSums(top.value);
  const letters = new Set([...found.keys(), ...(expected?.keys() ?? [])]);
  return {
    rows: byKey(rows.filter(({ key }) => !isSums(key))),
    damaged: damaged.filter(({ key }) => !isSums(key)).map(({ key }) => key),
    isProven: (letter) => isNewest && isSummed(letter) && sameSum(found.get(letter), expected?.get(letter)),
    expected: (letter) => (expected === undefined || !isSummed(letter) ? undefined : (expected.get(letter)?.rows ?? 0)),
    isUnsummed: false,
    isConsistent:
      expected !== undefined && [...letters].every((letter) => sameSum(found.get(letter), expected.get(letter))),
  };
}

/** Rows of all leaf pages that the newest tree does not lead to; of two with one key, that of the newer page. */
function olderRows(
  file: LmdbFile,
  present: ReadonlyMap<string, SoundRow>,
  seen: ReadonlySet<number>,
): Pick<Salvage, 'older'> {
  const found = new Map<string, SoundRow & { readonly txn: number }>();
  for (let number = 2; number < file.pages; number += 1) {
    const page = seen.has(number) ? undefined : file.page(number);
    if (page === undefined) continue;
    const txn = Number(page.readBigUInt64LE(8));
    for (const row of leafRowsOf(page)) {
      const stored = row === undefined ? undefined : storedOf(file, row, Number.MAX_SAFE_INTEGER);
      const value = row === undefined || stored === undefined ? undefined : openRow(row.key, stored);
      if (row === undefined || value === undefined || isSums(row.key)) continue;
      const name = nameOf(row.key);
      if (!present.has(name) && (found.get(name)?.txn ?? -1) < txn) found.set(name, { key: row.key, value, txn });
    }
  }
  return { older: found };
}

function byKey(rows: readonly SoundRow[]): ReadonlyMap<string, SoundRow> {
  return new Map(rows.map(({ key, value }) => [nameOf(key), { key, value }]));
}

/** A key as text, to find it by. */
export function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function isSums(key: Uint8Array): boolean {
  return Buffer.compare(key, SUMS_KEY) === 0;
}
