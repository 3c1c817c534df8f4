import type { GroupCompacted } from '../../log/events.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { readOrder } from '../order.ts';
import type { Draft } from './draft.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET } from './entry-row.ts';
import type { GroupState } from './group-state.ts';
import { entryKey } from './keys.ts';
import { epochStarts, groups, logStarts, pendingProposals } from './rows.ts';

/**
 * Drops the entries of a group before a position (see docs/adr/0019). Its positions, heads, message ids and windows stay as they
 * are, so whoever reads on sees the same chain, and a repeated request still gets its answer. One that does not fit (not
 * further than the last, past the newest entry, over a proposal that still waits, or of another history) changes nothing.
 */
export function foldGroupCompacted(draft: Draft, { group, logStart, head }: GroupCompacted): void {
  const state = draft.get(groups, group);
  if (state === undefined) return;
  const first = draft.get(logStarts, state.no)?.position ?? 1;
  if (logStart <= first || logStart > draft.head(state.no)!.position) return;
  const waiting = draft.get(pendingProposals, state.no) ?? [];
  if (waiting.some(({ position }) => position < logStart)) return;
  const last = draft.entryRow(entryKey(state.no, logStart - 1));
  if (last === undefined || !equalBytes(last.subarray(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET), head)) return;

  const { sequence, index } = readOrder(last);
  const epoch = epochAt(draft, state, logStart);
  draft.put(logStarts, state.no, { position: logStart, sequence, index, head: head.slice(), epoch });
  for (let position = first; position < logStart; position += 1) draft.discard(entryKey(state.no, position));
  for (let over = epoch - 1; over >= 0; over -= 1) {
    const key = { group: state.no, epoch: over };
    if (draft.get(epochStarts, key) === undefined) break;
    draft.remove(epochStarts, key);
  }
}

/** The epoch that a position is of. Epochs begin behind each other, the newest at the end. */
function epochAt(draft: Draft, { no, epoch: newest }: GroupState, position: number): number {
  let epoch = newest;
  while ((draft.get(epochStarts, { group: no, epoch }) ?? 0) > position) epoch -= 1;
  return epoch;
}
