import { fromBase64Url, toBase64Url } from './bytes.ts';
import type { Cursor } from './ids.ts';

/** A cursor is one sealed block; what is inside is the server's alone. */
export const CURSOR_BLOCK_BYTES = 16;
const PREFIX = 'c';

/** The cursor whose block stands at `index` of a page's `cursors`, or of any joined blocks. */
export function cursorFromBlock(blocks: Uint8Array, index = 0): Cursor {
  return `${PREFIX}${toBase64Url(blocks.subarray(index * CURSOR_BLOCK_BYTES, (index + 1) * CURSOR_BLOCK_BYTES))}` as Cursor;
}

/** The sealed block of a cursor; `undefined` for anything that has not a cursor's form. */
export function blockFromCursor(cursor: string): Uint8Array | undefined {
  if (!cursor.startsWith(PREFIX)) return undefined;
  const block = fromBase64Url(cursor.slice(PREFIX.length));
  return block?.length === CURSOR_BLOCK_BYTES ? block : undefined;
}
