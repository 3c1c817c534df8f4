import type { DeviceView, GroupView, MemberView, ReadModel } from '../../projections/read-model.ts';
import type { AccountId, DeviceId, GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';

/** The device's place in the group now. */
export function memberOf(group: GroupView, device: DeviceId): MemberView | undefined {
  return group.roster.find((member) => member?.device === device);
}

/** Whether a device of the account, revoked or not, is a member now: then the account's other devices may join it (D18). */
function hasAccount(group: GroupView, account: AccountId): boolean {
  return group.roster.some((member) => member?.account === account);
}

/** Whether the caller may join by an external commit: as another device of a member, or again, or where joining is open. */
export function mayJoin(group: GroupView, { account }: Pick<DeviceView, 'account'>): boolean {
  return group.roles.join === 'open' || hasAccount(group, account);
}

/** A group that the caller may know of because it has been a member of it. */
function hasBeenMember(readModel: ReadModel, group: GroupId, device: DeviceId): boolean {
  return readModel.groupLogPage(group, device, Number.MAX_SAFE_INTEGER, { maxEntries: 1, maxBytes: 1 }).kind === 'page';
}

/**
 * The group and the caller's place in it.
 *
 * @throws ProblemError `not-found` to whom it never was a group: ids do not tell strangers what exists (D11);
 *   `forbidden` to a former member.
 */
export function ownGroup(
  readModel: ReadModel,
  id: GroupId,
  caller: Pick<DeviceView, 'id'>,
): { readonly group: GroupView; readonly member: MemberView } {
  const group = readModel.group(id);
  const member = group === undefined ? undefined : memberOf(group, caller.id);
  if (group !== undefined && member !== undefined) return { group, member };
  if (group !== undefined && hasBeenMember(readModel, id, caller.id)) {
    throw new ProblemError('forbidden', 'this device is no longer a member of the group', {
      members: { reason: 'not-a-member' },
    });
  }
  throw noSuchGroup();
}

export function noSuchGroup(): ProblemError {
  return new ProblemError('not-found', 'there is no such group for this device');
}
