import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { ClientError } from '../client-error.ts';
import type { ClientStore, RangeOptions, Write } from './client-store.ts';

const MAP_SIZE_BYTES = 16 * 1024 * 1024 * 1024;
const PAGE_BYTES = 8192;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

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
    } as const;
    return storeOver(open<Uint8Array, Buffer>(options));
  } catch (cause) {
    throw new ClientError('storage', `the store in ${path} cannot be opened`, cause);
  }
}

function storeOver(db: ReturnType<typeof open<Uint8Array, Buffer>>): ClientStore {
  let closed = false;
  const get = async (key: Uint8Array): Promise<Uint8Array | undefined> => plain(db.get(asKey(key)));
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await db.flushed;
    await db.close();
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
          for (const { key, value } of writes) {
            if (value === undefined) db.removeSync(asKey(key));
            else db.putSync(asKey(key), asKey(value));
          }
        });
      } catch (cause) {
        throw new ClientError('storage', 'the store could not be written', cause);
      }
    },
    durable: async () => {
      await db.flushed;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function asKey(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function plain(buffer: Uint8Array): Uint8Array;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined;
function plain(buffer: Uint8Array | undefined): Uint8Array | undefined {
  return buffer === undefined ? undefined : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
