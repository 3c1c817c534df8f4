import { EMPTY_HEAD } from '../../wire/entry.ts';
import type { DeviceId, GroupId, Position } from '../../wire/ids.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET, unframe } from '../fold/entry-row.ts';
import type { GroupState } from '../fold/group-state.ts';
import { entryKey, moveEntryKey } from '../fold/keys.ts';
import { epochStarts, type Window, windows } from '../fold/rows.ts';
import type { GroupLogResult, PageLimits } from '../read-model.ts';
import type { Tables } from '../store/tables.ts';
import { deviceNumber, firstKept, groupState, logStartOf } from './lookup.ts';
import { createPageWriter } from './page-writer.ts';

/** One group's entries after a position, as far as the device may see them. */
export function readGroupLogPage(
  tables: Tables,
  group: GroupId,
  device: DeviceId,
  after: number,
  limits: PageLimits,
): GroupLogResult {
  const state = groupState(tables, group);
  const number = deviceNumber(tables, device);
  if (state === undefined || number === undefined) return { kind: 'not-visible' };
  const visible = tables.get(windows, { device: number, group: state.no });
  if (visible === undefined) return { kind: 'not-visible' };

  const start = logStartOf(tables, state.no);
  if (start !== undefined && visible.some((window) => isCutOff(tables, state, window, after, start.position))) {
    return { kind: 'expired', logStart: start.position as Position, firstEpoch: start.epoch, head: start.head };
  }
  const page = createPageWriter(limits);
  let position = after;
  let full = false;
  for (const window of visible) {
    const key = entryKey(state.no, 0);
    const last = lastOf(tables, state, window);
    for (let next = Math.max(window.from, after + 1); next <= last && !full; next += 1) {
      moveEntryKey(key, next);
      if (page.add(tables.peekEntryAt(key).subarray(ENTRY_FRAMED_OFFSET))) position = next;
      else full = true;
    }
  }
  const head = headAt(tables, state, visible, position);
  const logStart = (start?.position ?? 1) as Position;
  return { kind: 'page', framed: page.framed, position: position as Position, upToDate: !full, head, logStart };
}

/** Whether the window shows entries after `after` that are not kept any more. */
function isCutOff(tables: Tables, state: GroupState, window: Window, after: number, logStart: number): boolean {
  const next = Math.max(window.from, after + 1);
  return next < logStart && next <= lastOf(tables, state, window);
}

/** The stored entry, and the head after it. */
export function readEntryAt(
  tables: Tables,
  group: GroupId,
  position: number,
): { readonly bytes: Uint8Array; readonly head: Uint8Array } | undefined {
  const state = groupState(tables, group);
  if (state === undefined || !isPosition(tables, state, position)) return undefined;
  const row = tables.peekEntry(state.no, position);
  return {
    bytes: unframe(row.subarray(ENTRY_FRAMED_OFFSET)).slice(),
    head: row.slice(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET),
  };
}

/** Entries from the first of an epoch on; none when the group has not come to that epoch. */
export function readEntriesFromEpoch(
  tables: Tables,
  group: GroupId,
  epoch: number,
  limits: PageLimits,
): { readonly entries: readonly Uint8Array[]; readonly more: boolean } {
  const state = groupState(tables, group);
  const start =
    state === undefined || !Number.isSafeInteger(epoch) || epoch < 0
      ? undefined
      : tables.get(epochStarts, { group: state.no, epoch });
  if (state === undefined) return { entries: [], more: false };
  const kept = firstKept(tables, state.no);
  if (start === undefined || start < kept) return { entries: [], more: kept > 1 && epoch < state.epoch };
  const last = tables.head(state.no)!.position;
  const page = createPageWriter(limits);
  let position = start;
  while (position <= last && page.add(tables.peekEntry(state.no, position).subarray(ENTRY_FRAMED_OFFSET)))
    position += 1;
  return { entries: page.framed.map(unframe), more: position <= last };
}

function isPosition(tables: Tables, state: GroupState, position: number): boolean {
  return (
    Number.isSafeInteger(position) &&
    position >= firstKept(tables, state.no) &&
    position <= tables.head(state.no)!.position
  );
}

function lastOf(tables: Tables, state: GroupState, window: Window): number {
  return window.to ?? tables.head(state.no)!.position;
}

/** The head after a position the device may see; of another one, after the last visible position before it. */
function headAt(tables: Tables, state: GroupState, visible: readonly Window[], position: number): Uint8Array {
  const reached = visible.filter((window) => window.from <= position).at(-1);
  if (reached === undefined) return EMPTY_HEAD;
  const last = Math.min(position, lastOf(tables, state, reached));
  const start = logStartOf(tables, state.no);
  if (start !== undefined && last < start.position) return last === start.position - 1 ? start.head : EMPTY_HEAD;
  const row = tables.peekEntry(state.no, last);
  return row.slice(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET);
}
