import { fromUtf8, toUtf8 } from '../../wire/bytes.ts';
import { type Cursor, START_CURSOR } from '../../wire/ids.ts';
import type { HistoryLine } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys, ordinalOf, rangeOf } from './keys.ts';
import { parsePlace } from './line-place.ts';
import { decodeLine, lineValue, readOlder, readOlderRecent } from './older-rows.ts';

/** Rows of a new line: the line, and its place among its group's lines. */
export function lineWrites(line: HistoryLine, group: Uint8Array, ordinal: number): readonly Write[] {
  return [
    { key: keys.line(ordinal), value: lineValue(line) },
    { key: keys.groupLine(group, ordinal), value: new Uint8Array(0) },
  ];
}

/** Remembers which lines came up to a cursor, `ordinal` being that of the last one. */
export function cursorWrite(cursor: Cursor, ordinal: number): Write {
  return { key: keys.cursor(cursor), value: toUtf8(String(ordinal)) };
}

/**
 * Lines after a cursor, oldest first; of one group those first that were taken over from another device. Lines of one entry
 * share a cursor and are never torn apart: the answer may have a few more than `limit`.
 *
 * @throws ClientError `unknown-cursor`
 */
export async function readHistory(
  store: ClientStore,
  after: Cursor,
  options: { readonly group?: Uint8Array; readonly limit: number },
): Promise<readonly HistoryLine[]> {
  const { group, limit } = options;
  const place = await placeOf(store, after);
  const isBefore = place === undefined || 'older' in place;
  const older =
    isBefore && group !== undefined ? await readOlder(store, group, { after: place?.older ?? 0, limit }) : [];
  if (older.length >= limit) return older;
  const from = isBefore ? 1 : place.ordinal + 1;
  const lines = await readLines(store, { from, ...options, limit: limit - older.length });
  for (let next = lines.at(-1); next !== undefined && older.length + lines.length >= limit; ) {
    const more = await readLines(store, { from: next.ordinal + 1, ...options, limit: 1 });
    if (more[0] === undefined || more[0].line.cursor === undefined || more[0].line.cursor !== next.line.cursor) break;
    lines.push(more[0]);
    next = more[0];
  }
  return [...older, ...lines.map(({ line }) => line)];
}

/** The oldest lines of a group that came to this device itself. */
export async function readFirst(store: ClientStore, group: Uint8Array, limit: number): Promise<readonly HistoryLine[]> {
  return (await readLines(store, { from: 1, group, limit })).map(({ line }) => line);
}

/** The newest lines of a group, oldest first. */
export async function readRecent(
  store: ClientStore,
  group: Uint8Array,
  limit: number,
): Promise<readonly HistoryLine[]> {
  const rows = await store.range({ ...rangeOf('groupLine', group), limit, reverse: true });
  const values = await store.getMany(rows.map(([key]) => keys.line(ordinalOf(key))));
  const lines = values.flatMap((value) => (value === undefined ? [] : [decodeLine(value)])).reverse();
  if (rows.length >= limit) return lines;
  return [...(await readOlderRecent(store, group, { limit: limit - rows.length })), ...lines];
}

/** Lines read from the store at once while scanning. */
const SCAN_PAGE_LINES = 500;

/**
 * Walks a group's lines from the newest to the oldest, at most `max` of them, until `look` says that it has seen enough.
 *
 * @returns whether the oldest line was looked at, so that there is nothing more
 */
export async function scanRecent(
  store: ClientStore,
  group: Uint8Array,
  max: number,
  look: (line: HistoryLine) => boolean,
): Promise<boolean> {
  const { from, to } = rangeOf('groupLine', group);
  let end = to;
  let left = max;
  while (left > 0) {
    const limit = Math.min(left, SCAN_PAGE_LINES);
    const rows = await store.range({ from, to: end, limit, reverse: true });
    const values = await store.getMany(rows.map(([key]) => keys.line(ordinalOf(key))));
    for (const value of values) if (value !== undefined && !look(decodeLine(value))) return false;
    left -= rows.length;
    const oldest = rows.at(-1);
    if (oldest === undefined || rows.length < limit) return scanOlder(store, group, left, look);
    end = oldest[0].slice();
  }
  return false;
}

async function scanOlder(
  store: ClientStore,
  group: Uint8Array,
  max: number,
  look: (line: HistoryLine) => boolean,
): Promise<boolean> {
  let before: number | undefined;
  for (let left = max; left > 0; ) {
    const limit = Math.min(left, SCAN_PAGE_LINES);
    const lines = await readOlderRecent(store, group, { limit, ...(before === undefined ? {} : { before }) });
    for (const line of lines.toReversed()) if (!look(line)) return false;
    if (lines.length < limit) return true;
    before = lines[0]?.position;
    left -= lines.length;
  }
  return false;
}

interface StoredLine {
  readonly ordinal: number;
  readonly line: HistoryLine;
}

async function readLines(
  store: ClientStore,
  { from, group, limit }: { from: number; group?: Uint8Array; limit: number },
): Promise<StoredLine[]> {
  if (group === undefined) {
    const rows = await store.range({ from: keys.line(from), to: rangeOf('line').to, limit });
    return rows.map(([key, value]) => ({ ordinal: ordinalOf(key), line: decodeLine(value) }));
  }
  const index = await store.range({ from: keys.groupLine(group, from), to: rangeOf('groupLine', group).to, limit });
  const ordinals = index.map(([key]) => ordinalOf(key));
  const values = await store.getMany(ordinals.map((ordinal) => keys.line(ordinal)));
  return ordinals.flatMap((ordinal, i) => {
    const value = values[i];
    return value === undefined ? [] : [{ ordinal, line: decodeLine(value) }];
  });
}

/** Where the line of a cursor stands; `undefined` before all of them. */
async function placeOf(store: ClientStore, cursor: Cursor) {
  if (cursor === START_CURSOR) return undefined;
  const value = await store.get(keys.cursor(cursor));
  if (value === undefined) throw new ClientError('unknown-cursor', `the cursor ${cursor} is not known here`);
  return parsePlace(textOf(value));
}

function textOf(bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new ClientError('storage', 'the local store holds a line that cannot be read');
  return text;
}
