import type { CommitAccepted } from '../../log/events.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import { EMPTY_HEAD, type GroupEntry } from '../../wire/entry.ts';
import type { GroupId, Position } from '../../wire/ids.ts';
import type { ProblemCode } from '../../wire/problems.ts';
import type { RequestOutcome } from '../read-model.ts';
import { HEAD_BYTES } from './chain.ts';
import type { Draft } from './draft.ts';
import { ENTRY_HEAD_OFFSET, entryRow } from './entry-row.ts';
import type { GroupState } from './group-state.ts';
import { entryKey } from './keys.ts';
import type { GroupHead } from './rows.ts';

/** Where the next entry of an event goes among everything. */
export interface Place {
  readonly sequence: number;
  /** Taken and counted up by whoever places something. */
  index: number;
}

/** What an event that somebody asked for came to. */
export type Result = RequestOutcome['result'];

/** Puts an entry behind the group's last one. @returns the group's new head */
export function placeEntry(
  draft: Draft,
  state: GroupState,
  place: Place,
  entry: (position: Position) => GroupEntry,
): GroupHead {
  const before = draft.head(state.no);
  const position = ((before?.position ?? 0) + 1) as Position;
  const { sequence, index } = place;
  place.index += 1;
  const row = entryRow(entry(position), before?.hash ?? EMPTY_HEAD, sequence, index);
  draft.append(entryKey(state.no, position), row);
  const hash = row.subarray(ENTRY_HEAD_OFFSET, ENTRY_HEAD_OFFSET + HEAD_BYTES);
  const head: GroupHead = { position, sequence, index, hash: new Uint8Array(hash), group: state.id };
  draft.setHead(state, head);
  return head;
}

/** The members that every entry of a group has which one request placed. */
export function placeOf(event: Pick<CommitAccepted, 'group' | 'requestId' | 'device' | 'time'>, position: Position) {
  return { group: event.group, position, id: event.requestId, sender: event.device, time: event.time };
}

/** The event's entry stands at `head`; the group is in the epoch of `state` now. */
export function placed(state: GroupState, head: GroupHead): Result {
  return {
    kind: 'placed',
    group: toBase64Url(state.id) as GroupId,
    position: head.position as Position,
    head: head.hash,
    epoch: state.epoch,
  };
}

/** The event was taken; `refs` are of the key packages it stored or took, for the answer to a repeated request. */
export function done(refs: readonly Uint8Array[]): Result {
  return { kind: 'done', refs };
}

/** The event changes nothing, and whoever asked is told why. */
export function dropped(problem: ProblemCode, detail: string): Extract<Result, { readonly kind: 'dropped' }> {
  return { kind: 'dropped', problem, detail };
}
