import { LRUCache } from 'lru-cache';

/** Decoded rows and other things read often, by their key; the least used go first. */
export interface Cache<Value> {
  get(key: string): Value | undefined;
  /** `bytes`: about what the value takes in memory. */
  set(key: string, value: Value, bytes: number): void;
  delete(key: string): void;
}

const ENTRY_BYTES = 200;

/** A cache that holds about `maxBytes`. */
export function createCache<Value>(maxBytes: number): Cache<Value> {
  const cache = new LRUCache<string, { readonly value: Value }>({ maxSize: maxBytes, maxEntrySize: maxBytes });
  return {
    get: (key) => cache.get(key)?.value,
    set: (key, value, bytes) => void cache.set(key, { value }, { size: ENTRY_BYTES + bytes }),
    delete: (key) => void cache.delete(key),
  };
}
