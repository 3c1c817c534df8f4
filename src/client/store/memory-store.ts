import type { ClientStore, RangeOptions, Write } from './client-store.ts';
import { fromHex, toHexKey } from './hex.ts';

/** A store that lives as long as `rows`: for tests, and for clients that keep nothing. */
export function createMemoryStore(rows: Map<string, Uint8Array> = new Map()): ClientStore {
  const get = async (key: Uint8Array): Promise<Uint8Array | undefined> => rows.get(toHexKey(key))?.slice();
  const close = async (): Promise<void> => {};
  return {
    get,
    getMany: async (keys) => Promise.all(keys.map(get)),
    range: async ({ from, to, limit = Number.POSITIVE_INFINITY, reverse = false }: RangeOptions) => {
      const first = toHexKey(from);
      const end = toHexKey(to);
      const keys = [...rows.keys()].filter((key) => key >= first && key < end).sort();
      if (reverse) keys.reverse();
      return keys.slice(0, limit).map((key) => [fromHex(key), rows.get(key)!.slice()] as const);
    },
    commit: async (writes: readonly Write[]) => {
      for (const { key, value } of writes) {
        if (value === undefined) rows.delete(toHexKey(key));
        else rows.set(toHexKey(key), value.slice());
      }
    },
    durable: async () => {},
    close,
    [Symbol.asyncDispose]: close,
  };
}
