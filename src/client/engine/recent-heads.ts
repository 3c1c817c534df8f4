import { concatBytes } from '../../wire/bytes.ts';
import type { Group } from './types.ts';

/** Heads that are kept of a group's chain, newest last: at least this many, and less than a row more. */
export const HEADS_KEPT = 512;
/** Heads that are stored in one row: a message writes one small row anew, a thousand of them some thirty rows. */
const HEADS_A_ROW = 32;
const HEAD_BYTES = 32;

/** Heads of neighbouring positions, one behind the other; `first` is the position of the first. A value, never changed. */
export interface HeadRow {
  readonly first: number;
  readonly heads: Uint8Array;
}

/** Number of the row that a position belongs to, for its key in the store. */
export function headRowOf(position: number): number {
  return Math.floor(position / HEADS_A_ROW);
}

/** The group after another entry of its chain, whose place and head are `position` and `head`. */
export function withHead(group: Group, position: number, head: Uint8Array): Group {
  return { ...group, position, head, heads: appended(group.head === undefined ? [] : group.heads, position, head) };
}

/** The group where a chain begins that nothing is known about before it. */
export function withFirstHead(group: Group, position: number, head: Uint8Array): Group {
  return { ...group, position, head, heads: appended([], position, head) };
}

/** Head after this position, when it is one of those that are kept. */
export function keptHead({ heads = [] }: Pick<Group, 'heads'>, position: number): Uint8Array | undefined {
  for (let index = heads.length - 1; index >= 0; index -= 1) {
    const row = heads[index]!;
    if (position < row.first) continue;
    const from = (position - row.first) * HEAD_BYTES;
    return from < row.heads.length ? row.heads.subarray(from, from + HEAD_BYTES) : undefined;
  }
  return undefined;
}

function appended(rows: readonly HeadRow[] = [], position: number, head: Uint8Array): readonly HeadRow[] {
  const last = rows.at(-1);
  if (last === undefined || last.first + last.heads.length / HEAD_BYTES !== position) {
    return [{ first: position, heads: head.slice() }];
  }
  if (headRowOf(position) === headRowOf(last.first)) {
    return [...rows.slice(0, -1), { first: last.first, heads: concatBytes(last.heads, head) }];
  }
  const kept = rows.slice(-(HEADS_KEPT / HEADS_A_ROW));
  return [...kept, { first: position, heads: head.slice() }];
}
