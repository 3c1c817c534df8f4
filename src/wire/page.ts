import { concatBytes } from './bytes.ts';
import { CBOR_ARRAY, cborHead, decodeCbor, encodeCbor } from './cbor.ts';
import { CURSOR_BLOCK_BYTES } from './cursor.ts';
import { isGroupIdBytes } from './entry-shapes.ts';
import type { Cursor, Position } from './ids.ts';

/** A group's head after one of its positions. */
export interface Head {
  readonly group: Uint8Array;
  readonly position: Position;
  readonly hash: Uint8Array;
}

/** Entries as bytes (see {@link decodeEntry}), so that a reader can check the hash chain over just what it was served. */
export interface Page {
  readonly entries: readonly Uint8Array[];
  /** One block of {@link CURSOR_BLOCK_BYTES} an entry, joined: the cursor just after that entry, see `cursorFromBlock`. */
  readonly cursors: Uint8Array;
  /** Where to go on. Returned with empty pages too. */
  readonly cursor: Cursor;
  /** Nothing more was there when the page was made. */
  readonly upToDate: boolean;
  /** For each group with entries in this page: the head after its last one. */
  readonly heads: readonly Head[];
}

/** Items of a live stream (`application/cbor-seq`, or SSE with `type` as the event's name). */
export type StreamItem =
  | ({ readonly type: 'page' } & Page)
  | { readonly type: 'caught-up'; readonly cursor: Cursor }
  | { readonly type: 'heartbeat' }
  /** The server ends the stream; `resumable` says whether the cursor is good for another one. */
  | { readonly type: 'closing'; readonly reason: string; readonly resumable: boolean };

/** Wider than any cursor of today, and harmless wherever a cursor is put. */
const CURSOR_FORM = /^[A-Za-z0-9_-]{1,128}$/;
const PAGE_HEAD = Uint8Array.of(0xa5);
const STREAM_PAGE_HEAD = concatBytes(Uint8Array.of(0xa6), encodeCbor('type'), encodeCbor('page'));
const KEY_HEADS = encodeCbor('heads');
const KEY_CURSOR = encodeCbor('cursor');
const KEY_CURSORS = encodeCbor('cursors');
const KEY_ENTRIES = encodeCbor('entries');
const KEY_UP_TO_DATE = encodeCbor('upToDate');

/** The parts of an encoded page around its entries; write them in order without joining. Deterministic key order. */
export function encodePageParts(
  page: Omit<Page, 'entries'>,
  framed: readonly Uint8Array[],
  asStreamItem = false,
): Uint8Array[] {
  return [
    concatBytes(
      asStreamItem ? STREAM_PAGE_HEAD : PAGE_HEAD,
      KEY_HEADS,
      encodeCbor(page.heads),
      KEY_CURSOR,
      encodeCbor(page.cursor),
      KEY_CURSORS,
      encodeCbor(page.cursors),
      KEY_ENTRIES,
      cborHead(CBOR_ARRAY, framed.length),
    ),
    ...framed,
    concatBytes(KEY_UP_TO_DATE, encodeCbor(page.upToDate)),
  ];
}

export function encodeStreamItem(item: Exclude<StreamItem, { type: 'page' }>): Uint8Array {
  return encodeCbor(item);
}

/** @throws SyntaxError when the bytes are no page. */
export function decodePage(bytes: Uint8Array): Page {
  return asPage(decodeCbor(bytes));
}

/** @throws SyntaxError when the value (a decoded item of the sequence) is no stream item. */
export function asStreamItem(value: unknown): StreamItem {
  if (!isRecord(value)) throw new SyntaxError('not a stream item');
  switch (value['type']) {
    case 'page':
      return { type: 'page', ...asPage(value) };
    case 'caught-up':
      return { type: 'caught-up', cursor: asCursor(value['cursor']) };
    case 'heartbeat':
      return { type: 'heartbeat' };
    case 'closing':
      if (typeof value['reason'] !== 'string') throw new SyntaxError('not a stream item: reason');
      return { type: 'closing', reason: value['reason'], resumable: value['resumable'] === true };
    default:
      throw new SyntaxError('not a stream item of a known type');
  }
}

function asPage(value: unknown): Page {
  if (!isRecord(value)) throw new SyntaxError('not a page');
  const { entries, cursors, heads, upToDate } = value;
  if (!Array.isArray(entries) || !entries.every((entry) => entry instanceof Uint8Array))
    throw new SyntaxError('not a page: entries');
  if (!(cursors instanceof Uint8Array) || cursors.length !== entries.length * CURSOR_BLOCK_BYTES) {
    throw new SyntaxError('not a page: cursors');
  }
  if (typeof upToDate !== 'boolean') throw new SyntaxError('not a page: upToDate');
  if (!Array.isArray(heads) || !heads.every(isHead)) throw new SyntaxError('not a page: heads');
  return { entries, cursors, cursor: asCursor(value['cursor']), upToDate, heads };
}

function asCursor(value: unknown): Cursor {
  if (typeof value !== 'string' || !CURSOR_FORM.test(value)) throw new SyntaxError('not a page: cursor');
  return value as Cursor;
}

function isHead(value: unknown): value is Head {
  return (
    isRecord(value) &&
    isGroupIdBytes(value['group']) &&
    Number.isSafeInteger(value['position']) &&
    value['hash'] instanceof Uint8Array
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
