import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { ClientError } from '../client-error.ts';
import type { ClientStore, RangeOptions, Write } from './client-store.ts';

const MAP_SIZE_BYTES = 16 * 1024 * 1024 * 1024;
const PAGE_BYTES = 8192;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Flushing what was written takes less, or fails. */
const CLOSE_WAIT_MS = 5_000;

/** A store in a folder of its own (mode 0700, files 0600). One process at a time: the caller sees to that. */
export async function openLmdbStore(path: string): Promise<ClientStore> {
  try {
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
    return storeOver(open<Uint8Array, Buffer>(options));
  } catch (cause) {
    throw new ClientError('storage', `the store in ${path} cannot be opened`, cause);
  }
}

function storeOver(db: ReturnType<typeof open<Uint8Array, Buffer>>): ClientStore {
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
  const get = async (key: Uint8Array): Promise<Uint8Array | undefined> => plain(db.get(asKey(key)));
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
        rows.push([plain(key).slice(), plain(value)]);
        if (rows.length === limit) break;
      }
      return rows;
    },
    commit: async (writes: readonly Write[]) => {
      if (closed) throw new ClientError('closed', 'the store is closed');
      try {
        // nothing in here can throw half way: all that is written was made before
        await db.transaction(() => {
          for (const { key, value, secret } of writes) {
            if (value === undefined || secret === true) overwrite(db, key, value);
            if (value === undefined) db.removeSync(asKey(key));
            else db.putSync(asKey(key), asKey(value));
          }
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
function overwrite(
  db: ReturnType<typeof open<Uint8Array, Buffer>>,
  key: Uint8Array,
  value: Uint8Array | undefined,
): void {
  const length = db.get(asKey(key))?.length ?? 0;
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
async function closeBounded(db: ReturnType<typeof open<Uint8Array, Buffer>>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_WAIT_MS);
  });
  await Promise.race([db.flushed.then(() => db.close()), waited]);
  clearTimeout(timer);
}

function asKey(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function plain(buffer: Uint8Array): Uint8Array;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined {
  return buffer === undefined ? undefined : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
