import type { PageLimits } from '../read-model.ts';

/** Memory for the entries of a page is taken in pieces of this size. */
const CHUNK_BYTES = 256 * 1024;

/** Collects framed entries up to a page's limits. The first entry is always taken, so that a page makes progress. */
export interface PageWriter {
  readonly framed: readonly Uint8Array[];
  /** Copies an entry in; false, and nothing is taken, when the page is full. */
  add(entry: Uint8Array): boolean;
}

export function createPageWriter(limits: PageLimits): PageWriter {
  const framed: Uint8Array[] = [];
  let chunk = new Uint8Array(0);
  let used = 0;
  let total = 0;
  return {
    framed,
    add(entry) {
      const full = framed.length >= limits.maxEntries || total + entry.length > limits.maxBytes;
      if (full && framed.length > 0) return false;
      if (used + entry.length > chunk.length) {
        const rest = Math.max(limits.maxBytes - total, entry.length);
        chunk = new Uint8Array(Buffer.allocUnsafeSlow(Math.max(Math.min(CHUNK_BYTES, rest), entry.length)).buffer);
        used = 0;
      }
      chunk.set(entry, used);
      framed.push(chunk.subarray(used, used + entry.length));
      used += entry.length;
      total += entry.length;
      return true;
    },
  };
}
