import type { CommitReported } from '../../log/events.ts';
import type { Position } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { groups, windows } from './rows.ts';

/**
 * A report about a commit, by a device that was a member of the epoch which the commit ended and is one now. That the
 * commit stands where the event says was checked before the append: what is in the log stays there.
 */
export function foldCommitReported(draft: Draft, event: CommitReported, place: Place): Result {
  const state = draft.get(groups, event.group);
  if (state === undefined) return dropped('not-found', 'no such group');
  if (!state.leaves.has(event.device)) return dropped('forbidden', 'the report is not from a member');
  const own = draft.get(windows, { device: draft.deviceNo(event.device), group: state.no }) ?? [];
  const wasMember = own.some(({ from, to }) => from < event.position && (to === undefined || to >= event.position));
  if (!wasMember) return dropped('forbidden', 'the reporter was no member of this epoch');
  const { epoch, commit, reason, code, committer } = event;
  const head = placeEntry(draft, state, place, (position) => ({
    kind: 'report',
    ...placeOf(event, position),
    payload: { epoch, position: event.position as Position, commit, reason, code, reporter: event.account, committer },
  }));
  return placed(state, head);
}
