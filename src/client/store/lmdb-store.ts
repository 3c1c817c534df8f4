import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { open } from 'lmdb';
import { equalBytes } from '../../wire/bytes.ts';
import { ClientError } from '../client-error.ts';
import { DATA_FILE, isBegun } from './begun.ts';
import { faultOfFile } from './check-file.ts';
import type { ClientStore, RangeOptions, Write } from './client-store.ts';
import { damagedIn, damagedRow } from './damage.ts';
import { damagedStore } from './damaged-store.ts';
import { groupKeyOf, isSummed, stateTables } from './keys.ts';
import { PAGE_BYTES } from './lmdb-file.ts';
import {
  countRow,
  decodeSums,
  encodeSums,
  openRow,
  SUM_BYTES,
  SUMS_KEY,
  sameSum,
  sealRow,
  type TableSum,
} from './row-sums.ts';
import { decodeStored } from './stored-cbor.ts';

const SUMS_KEY_BUFFER = Buffer.from(SUMS_KEY);
const FIRST_KEY = Buffer.of(0);
const CONVERTED_AT_ONCE = 1_000;
const MAP_SIZE_BYTES = 16 * 1024 * 1024 * 1024;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Writing one transaction takes less. */
const SETTLING_MS = 50;
/** Flushing what was written takes less, or fails. */
const CLOSE_WAIT_MS = 5_000;

type Db = ReturnType<typeof open<Uint8Array, Uint8Array>>;

/**
 * A store in a folder of its own (mode 0700, files 0600). One process at a time: the caller sees to that. Each row carries a
 * checksum, and each table a sum of them.
 *
 * @throws ClientError `storage`: when the file is damaged, before anything is written to it, with what mends it
 */
export async function openLmdbStore(path: string): Promise<ClientStore> {
  let db: Db | undefined;
  try {
    const fault = isBegun(path) ? await settledFault(join(path, DATA_FILE)) : undefined;
    if (fault !== undefined) throw damagedStore(path, fault);
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    const options = {
      path,
      noSubdir: false,
      mapSize: MAP_SIZE_BYTES,
      pageSize: PAGE_BYTES,
      encoding: 'binary',
      keyEncoding: 'binary',
      permissionsMode: FILE_MODE,
      // All writes are explicit transactions. The batch of a turn has a promise that nobody can reach: when its commit
      // fails, on a full disk say, that rejection ends the process.
      eventTurnBatching: false,
    } as const;
    db = open<Uint8Array, Uint8Array>(options);
    checkRows(db, path);
    return storeOver(db);
  } catch (cause) {
    await db?.close();
    if (cause instanceof ClientError) throw cause;
    throw new ClientError('storage', `the store in ${path} cannot be opened`, cause);
  }
}

/** A worker that was ended may be writing its last transaction still: what is looked at then does not fit together. */
async function settledFault(file: string): Promise<string | undefined> {
  if (faultOfFile(file) === undefined) return undefined;
  await pause(SETTLING_MS);
  return faultOfFile(file);
}

/** Rows looked at for checksums in a store that has no sums. */
const LOOKED_AT_ROWS = 64;

/**
 * Whether what the groups' keys depend on is what was written last, and all of it. A store from before there were checksums gets
 * them, in one transaction.
 */
function checkRows(db: Db, path: string): void {
  const stored = db.get(SUMS_KEY_BUFFER);
  if (stored === undefined) {
    const rows = [...db.getRange({ start: FIRST_KEY, limit: LOOKED_AT_ROWS })];
    if (rows.some(({ key, value }) => openRow(key, value) !== undefined))
      throw damagedStore(path, 'its sums are missing');
    if (rows.length > 0) db.transactionSync(() => addChecksums(db));
    return;
  }
  const sums = openRow(SUMS_KEY, stored);
  if (sums === undefined) throw damagedStore(path, 'its sums are not what was written');
  const expected = decodeSums(sums);
  for (const letter of stateTables()) {
    const found = new Map<number, TableSum>();
    for (const { key, value } of db.getRange({ start: Buffer.of(letter), end: Buffer.of(letter + 1) })) {
      if (openRow(key, value) === undefined) throw damagedAt(db, plain(key));
      countRow(found, key, value, 1);
    }
    if (!sameSum(found.get(letter), expected.get(letter))) throw damagedStore(path, 'it holds rows older than others');
  }
}

/** With the name of the group, where its record can be read: that of an encrypted store cannot. */
function damagedAt(db: Db, key: Uint8Array): ClientError {
  const damaged = damagedRow(key);
  const record = groupKeyOf(key);
  const value = record === undefined ? undefined : db.get(asKey(record));
  const read = record === undefined || value === undefined ? undefined : openRow(record, plain(value));
  if (read === undefined) return damaged;
  try {
    const { name } = Object(decodeStored(read)) as { readonly name?: unknown };
    return typeof name === 'string' ? damagedIn(name, damaged) : damaged;
  } catch {
    return damaged; // no more is known
  }
}

function addChecksums(db: Db): void {
  const sums = new Map<number, TableSum>();
  let next: Uint8Array | undefined = FIRST_KEY;
  while (next !== undefined) {
    const rows: { readonly key: Uint8Array; readonly value: Uint8Array }[] = [];
    for (const { key, value } of db.getRange({ start: asKey(next), limit: CONVERTED_AT_ONCE })) {
      const copy = plain(key).slice();
      rows.push({ key: copy, value: sealRow(copy, plain(value)) });
    }
    for (const { key, value } of rows) {
      db.putSync(asKey(key), asKey(value));
      if (isSummed(key[0] ?? 0)) countRow(sums, key, value, 1);
    }
    const last = rows.length < CONVERTED_AT_ONCE ? undefined : rows.at(-1);
    next = last === undefined ? undefined : Uint8Array.of(...last.key, 0);
  }
  db.putSync(SUMS_KEY_BUFFER, asKey(sealRow(SUMS_KEY, encodeSums(sums))));
}

function storeOver(db: Db): ClientStore {
  let closed = false;
  /** The first failure: what the library flushes after it is never said to be flushed. */
  let failure: ClientError | undefined;
  const waiting = new Set<(error: ClientError) => void>();
  const fail = (cause: unknown): ClientError => {
    failure ??= new ClientError('storage', 'the store could not be written', cause);
    for (const reject of waiting) reject(failure);
    waiting.clear();
    return failure;
  };
  const get = async (key: Uint8Array): Promise<Uint8Array | undefined> => opened(key, plain(db.get(asKey(key))));
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await closeBounded(db);
  };
  return {
    get,
    getMany: async (keys) => Promise.all(keys.map(get)),
    range: async ({ from, to, limit, reverse = false }: RangeOptions) => {
      // a reversed range starts above and ends below: its bounds swap, and so does which of them is included
      const bounds = reverse ? { start: asKey(to), end: asKey(from) } : { start: asKey(from), end: asKey(to) };
      const rows: (readonly [Uint8Array, Uint8Array])[] = [];
      for (const { key, value } of db.getRange({
        ...bounds,
        reverse,
        inclusiveEnd: reverse,
        exclusiveStart: reverse,
      })) {
        const copy = plain(key).slice();
        if (equalBytes(copy, SUMS_KEY)) continue;
        rows.push([copy, opened(copy, plain(value))]);
        if (rows.length === limit) break;
      }
      return rows;
    },
    commit: async (writes: readonly Write[]) => {
      if (closed) throw new ClientError('closed', 'the store is closed');
      const rows = writes.map((write) => ({
        ...write,
        value:
          write.value === undefined ? undefined : sealRow(write.key, write.value, roomFor(write.value, write.secret)),
      }));
      try {
        // nothing in here can throw half way: all that is written was made before
        await db.transaction(() => {
          const sums = sumsOf(db);
          for (const { key, value, secret } of rows) {
            const counts = isSummed(key[0] ?? 0);
            const isErased = value === undefined || secret === true;
            // keys as they are: a small array has a buffer of its own only once it is asked for, and then has it to the end
            const old = counts || isErased ? db.get(key) : undefined;
            if (counts && old !== undefined) countRow(sums, key, old, -1);
            if (counts && value !== undefined) countRow(sums, key, value, 1);
            if (isErased) overwrite(db, key, old?.length ?? 0, value);
            if (value === undefined) db.removeSync(key);
            else db.putSync(key, value);
          }
          db.putSync(SUMS_KEY_BUFFER, asKey(sealRow(SUMS_KEY, encodeSums(sums))));
        });
      } catch (failed) {
        throw fail(await causeOf(failed));
      }
    },
    durable: () =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        waiting.add(reject);
        db.flushed
          .then(
            () => resolve(),
            (cause: unknown) => reject(fail(cause)),
          )
          .finally(() => waiting.delete(reject));
      }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Zeros in the place of a value that goes away or changes its length: the bytes of a removed record stay in its page, in
 * use as that page is, until something else needs the room. A value of the same length is overwritten anyway. What older
 * versions of the page hold is free, and written over by the next commits.
 */
function overwrite(db: Db, key: Uint8Array, length: number, value: Uint8Array | undefined): void {
  if (length > 0 && length !== value?.length) db.putSync(asKey(key), Buffer.alloc(length));
}

/** Why a commit failed is in a promise beside the error; left alone its rejection would end the process. */
async function causeOf(failed: unknown): Promise<unknown> {
  const { commitError } = failed as { readonly commitError?: Promise<unknown> };
  try {
    await Promise.race([commitError, new Promise((resolve) => setImmediate(resolve))]);
    return failed;
  } catch (cause) {
    return cause;
  }
}

/** After a failed commit the library waits for ever for a flush that will not come; nothing is owed to it then. */
async function closeBounded(db: Db): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_WAIT_MS);
  });
  await Promise.race([db.flushed.then(() => db.close()), waited]);
  clearTimeout(timer);
}

/** Rows in the pool of Buffers cost a fraction of an array each; what is secret stays out of memory that all share. */
function roomFor(value: Uint8Array, secret: true | undefined): Uint8Array {
  const length = value.length + SUM_BYTES;
  return secret === true ? new Uint8Array(length) : Buffer.allocUnsafe(length);
}

function sumsOf(db: Db): Map<number, TableSum> {
  const stored = db.get(SUMS_KEY_BUFFER);
  return stored === undefined ? new Map() : decodeSums(stored.subarray(0, stored.length - SUM_BYTES));
}

function opened(key: Uint8Array, stored: Uint8Array): Uint8Array;
function opened(key: Uint8Array, stored: Uint8Array | undefined): Uint8Array | undefined;
function opened(key: Uint8Array, stored: Uint8Array | undefined): Uint8Array | undefined {
  if (stored === undefined) return undefined;
  const value = openRow(key, stored);
  if (value === undefined) throw damagedRow(key);
  return value;
}

function asKey(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function plain(buffer: Uint8Array): Uint8Array;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined {
  return buffer === undefined ? undefined : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
