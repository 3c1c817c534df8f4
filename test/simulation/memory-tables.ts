import { TABLE } from '../../src/projections/fold/keys.ts';
import type { Environment } from '../../src/projections/store/environment.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';

/** What stands on the disk of one node: survives the process, lost with nothing. */
export interface TablesDisk {
  readonly rows: Map<string, Buffer>;
  /** In the order of bytes. */
  keys: string[];
}

export function createTablesDisk(from?: TablesDisk): TablesDisk {
  return { rows: new Map(from?.rows), keys: from?.keys.slice() ?? [] };
}

/** What happens to a transaction that is about to be committed. */
export type CommitFate = (write: () => void) => Promise<void>;

interface RangeOf {
  readonly start?: Uint8Array;
  readonly end?: Uint8Array;
  readonly reverse?: boolean;
  readonly limit?: number;
}

const textOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
const CHECKPOINT_KEY = Uint8Array.of(TABLE.meta, 1);

/**
 * The part of LMDB that the tables use, in memory: batches are atomic, and readers see the state at which they were pinned.
 * @param commit decides when, and whether, a batch gets to the disk
 * @param isKept what of a batch gets there
 */
export function openMemoryTables(
  disk: TablesDisk,
  commit: CommitFate,
  isKept: (key: Uint8Array) => boolean = () => true,
): Environment {
  /** Values as the pinned readers see them, of keys that were written since. */
  const pinned = new Map<string, Buffer | undefined>();
  /** Keys that are gone since, and that the pinned readers still see. */
  const ghosts = new Set<string>();
  let collecting: [string, Buffer | undefined][] | undefined;

  const read = (key: string): Buffer | undefined => (pinned.has(key) ? pinned.get(key) : disk.rows.get(key));
  const find = (key: string, keys: readonly string[] = disk.keys): number => {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const write = (writes: readonly [string, Buffer | undefined][]): void => {
    for (const [key, value] of writes) {
      const old = disk.rows.get(key);
      if (!pinned.has(key)) pinned.set(key, old);
      if (value === undefined) {
        if (!disk.rows.delete(key)) continue;
        disk.keys.splice(find(key), 1);
        if (pinned.get(key) !== undefined) ghosts.add(key);
      } else {
        if (old === undefined) disk.keys.splice(find(key), 0, key);
        disk.rows.set(key, value);
      }
    }
  };
  const collect = (key: Uint8Array, value: Uint8Array | undefined): Promise<void> => {
    if (isKept(key)) collecting!.push([textOf(key), value === undefined ? undefined : Buffer.from(value)]);
    return Promise.resolve();
  };
  function* range({ start, end, reverse = false, limit }: RangeOf) {
    const [low, high] = reverse ? [end, start] : [start, end];
    const keys = ghosts.size === 0 ? disk.keys : [...new Set([...disk.keys, ...ghosts])].sort();
    const from = low === undefined ? 0 : find(textOf(low), keys);
    const to = high === undefined ? keys.length : find(textOf(high), keys);
    let given = 0;
    for (let i = 0; i < to - from && given !== limit; i += 1) {
      const key = keys[reverse ? to - 1 - i : from + i]!;
      const value = read(key);
      if (value === undefined) continue;
      given += 1;
      yield { key: Buffer.from(key, 'latin1'), value };
    }
  }
  const db = {
    useReadTransaction: () => ({ done: () => {} }),
    resetReadTxn: () => {
      pinned.clear();
      ghosts.clear();
    },
    get: (key: Uint8Array) => read(textOf(key)),
    getBinaryFast: (key: Uint8Array) => read(textOf(key)),
    getRange: range,
    put: collect,
    remove: (key: Uint8Array) => collect(key, undefined),
    batch: (fill: () => void) => {
      collecting = [];
      fill();
      const writes = collecting;
      collecting = undefined;
      return commit(() => write(writes));
    },
  };
  const checkpoint = disk.rows.get(textOf(CHECKPOINT_KEY));
  return {
    db: db as unknown as Environment['db'],
    ...(checkpoint === undefined ? {} : { checkpoint: decodeCbor(checkpoint) as Environment['checkpoint'] & object }),
    close: async () => {},
  };
}
