import { fromUtf8, toUtf8 } from '../../wire/bytes.ts';
import type { HistoryLine } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys, rangeOf } from './keys.ts';
import { placeText } from './line-place.ts';

/**
 * Lines of a group from before this device joined, taken over from another device of the account (docs/HISTORY.md). They
 * stand beside the lines that came here, by position, so that they are in the order of the log whenever they are added.
 */
export type OlderLine = HistoryLine & {
  readonly kind: 'message';
  readonly position: number;
  readonly cursor: NonNullable<HistoryLine['cursor']>;
};

/** Rows of a line that is taken over. */
export function olderWrites(line: OlderLine, group: Uint8Array): readonly Write[] {
  return [
    { key: keys.older(group, line.position), value: lineValue(line) },
    { key: keys.cursor(line.cursor), value: toUtf8(placeText({ older: line.position })) },
  ];
}

/** A line as it is stored. */
export function lineValue(line: HistoryLine): Uint8Array {
  // a line is all text and numbers: JSON is many times faster here than CBOR, and this runs for every message
  return toUtf8(JSON.stringify(line));
}

/** @throws ClientError `storage` */
export function decodeLine(bytes: Uint8Array): HistoryLine {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new ClientError('storage', 'the local store holds a line that cannot be read');
  return JSON.parse(text) as HistoryLine;
}

/** Which of these positions of a group were taken over before. */
export async function olderPositions(
  store: ClientStore,
  group: Uint8Array,
  positions: readonly number[],
): Promise<ReadonlySet<number>> {
  const values = await store.getMany(positions.map((position) => keys.older(group, position)));
  return new Set(positions.filter((_, i) => values[i] !== undefined));
}

/** Taken-over lines after a position, oldest first. */
export async function readOlder(
  store: ClientStore,
  group: Uint8Array,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<HistoryLine[]> {
  const { to } = rangeOf('older', group);
  const rows = await store.range({ from: keys.older(group, after + 1), to, limit });
  return rows.map(([, value]) => decodeLine(value));
}

/** The newest taken-over lines before a position, oldest first. */
export async function readOlderRecent(
  store: ClientStore,
  group: Uint8Array,
  { before, limit }: { readonly before?: number; readonly limit: number },
): Promise<HistoryLine[]> {
  const { from, to } = rangeOf('older', group);
  const end = before === undefined ? to : keys.older(group, before);
  const rows = await store.range({ from, to: end, limit, reverse: true });
  return rows.map(([, value]) => decodeLine(value)).reverse();
}
