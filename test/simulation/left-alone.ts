import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { DeviceId } from '../../src/wire/ids.ts';
import type { ClientView } from './client-view.ts';
import type { GroupTruth } from './group-truth.ts';

/** What becomes of a leave that nobody is left to commit: the group ends for its device, and the log says nothing of it. */

/** Whether a device says that it left where the log neither removes it nor lets it in again. */
export function isLeftUnseen(line: HistoryLine, truth: GroupTruth, device: DeviceId): boolean {
  const { position } = line;
  if (line.kind !== 'removed-me' || line.by.device !== device || position === undefined) return false;
  const isEnd = ({ to, joins }: { to?: number; joins: readonly { position: number }[] }): boolean =>
    to === position || joins.some((join) => join.position === position);
  return !(truth.memberships.get(device) ?? []).some(isEnd);
}

/** Whether everybody else who was there is a revoked device. */
export function wasAlone(
  truth: GroupTruth,
  device: DeviceId,
  position: number,
  isRevoked: (device: DeviceId) => boolean,
): boolean {
  return [...truth.rosterAt(position)].every((other) => other === device || isRevoked(other));
}

/** Where the device left the group by itself. */
export function endsAlone({ lines }: ClientView, truth: GroupTruth, device: DeviceId): readonly number[] {
  return lines.flatMap((line) =>
    line.group === truth.id && line.position !== undefined && isLeftUnseen(line, truth, device) ? [line.position] : [],
  );
}

/** Whether that is how it stands now. */
export function hasLeftAlone(view: ClientView, truth: GroupTruth, device: DeviceId): boolean {
  const begin = truth.memberships.get(device)?.at(-1)?.from ?? Number.POSITIVE_INFINITY;
  const isOut = view.groups.get(truth.id)?.phase === 'removed';
  return isOut && endsAlone(view, truth, device).some((position) => position >= begin);
}
