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

/**
 * Entries that the reader should see next, and that the server does not keep any more: from position `from` up to and including
 * `to`. Where the reader may go on behind them: `head` is the head after `to`, `epoch` the one the next entry is of, `time` when
 * that was taken (milliseconds since 1970).
 */
export interface Gap {
  readonly group: Uint8Array;
  readonly from: Position;
  readonly to: Position;
  readonly next?: { readonly head: Uint8Array; readonly epoch: number; readonly time: number };
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
  /** Read before the entries of this page: its groups' entries go on behind them. Absent when nothing is missing. */
  readonly gaps?: readonly Gap[];
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
const MAP = 0xa0;
const MEMBERS = 5;
const TYPE_PAGE = concatBytes(encodeCbor('type'), encodeCbor('page'));
const NOTHING = new Uint8Array(0);
const KEY_GAPS = encodeCbor('gaps');
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
  const { gaps } = page;
  return [
    concatBytes(
      Uint8Array.of(MAP + MEMBERS + (gaps === undefined ? 0 : 1) + (asStreamItem ? 1 : 0)),
      gaps === undefined ? NOTHING : concatBytes(KEY_GAPS, encodeCbor(gaps)),
      asStreamItem ? TYPE_PAGE : NOTHING,
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
  const { entries, cursors, heads, upToDate, gaps } = value;
  if (!Array.isArray(entries) || !entries.every((entry) => entry instanceof Uint8Array))
    throw new SyntaxError('not a page: entries');
  if (!(cursors instanceof Uint8Array) || cursors.length !== entries.length * CURSOR_BLOCK_BYTES) {
    throw new SyntaxError('not a page: cursors');
  }
  if (typeof upToDate !== 'boolean') throw new SyntaxError('not a page: upToDate');
  if (!Array.isArray(heads) || !heads.every(isHead)) throw new SyntaxError('not a page: heads');
  if (gaps !== undefined && !(Array.isArray(gaps) && gaps.every(isGap))) throw new SyntaxError('not a page: gaps');
  const page = { entries, cursors, cursor: asCursor(value['cursor']), upToDate, heads };
  return gaps === undefined ? page : { ...page, gaps };
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

function isGap(value: unknown): value is Gap {
  if (!isRecord(value) || !isGroupIdBytes(value['group'])) return false;
  const { from, to, next } = value;
  if (!isCount(from) || !isCount(to) || from < 1 || to < from) return false;
  if (next === undefined) return true;
  return isRecord(next) && next['head'] instanceof Uint8Array && isCount(next['epoch']) && isCount(next['time']);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
