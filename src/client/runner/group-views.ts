import { accountOf, parseIdentity } from '../../mls/identity.ts';
import { isAdmin } from '../../mls/roles.ts';
import { epochOf, membersOf, rolesOf } from '../../mls/session/state.ts';
import { toHex } from '../../wire/bytes.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { GroupStatus, MemberStatus, Verified } from '../chat-client.ts';
import type { Directory } from '../engine/directory.ts';
import { handshakesOf } from '../engine/opaque.ts';
import type { Group, Me } from '../engine/types.ts';
import { OTHER_HISTORY } from '../engine/witness.ts';

export function statusOf(group: Group): GroupStatus {
  const { mls, phase } = group;
  const roles = mls === undefined ? undefined : rolesOf(mls);
  const state = phase === 'member' || phase === 'removed' ? phase : 'parked';
  const reason =
    group.parkedReason ?? (phase === 'joining' ? 'joining' : phase === 'creating' ? 'being created' : undefined);
  return {
    group: group.id,
    name: group.name,
    epoch: mls === undefined ? 0 : epochOf(mls),
    position: group.position,
    unread: group.unread,
    members: mls === undefined ? 0 : accountsOf(group).size,
    state,
    ...handshakesOf(group),
    ...(roles === undefined ? {} : { invite: roles.invite, join: roles.join }),
    ...(group.muted === undefined ? {} : { muted: group.muted }),
    ...(state === 'parked' && reason !== undefined ? { parkedReason: reason } : {}),
    ...(group.topic === undefined ? {} : { topic: group.topic.text }),
    ...(group.head === undefined ? {} : { head: toHex(group.head) }),
    ...differencesOf(group),
  };
}

function marksOf({ marks }: Group, account: AccountId): Pick<MemberStatus, 'marks'> {
  const found = marks?.by.find((each) => each.account === account);
  return found === undefined ? {} : { marks: { delivered: found.delivered, read: found.read } };
}

function differencesOf({ evidence }: Group): Pick<GroupStatus, 'differences'> {
  if (evidence === undefined) return {};
  const differences = [
    ...evidence.splits.map(({ with: { name }, position }) => ({ kind: 'split' as const, with: name, position })),
    ...evidence.broken.map(({ receipt, reason, position }) => {
      if (reason === OTHER_HISTORY) return { kind: 'history' as const, position };
      return { kind: receipt === undefined ? ('unproven' as const) : ('receipt' as const), position };
    }),
  ];
  return differences.length === 0 ? {} : { differences };
}

/** Accounts with their devices, in the order of their first leaf. */
export function accountsOf(group: Group): ReadonlyMap<AccountId, readonly DeviceId[]> {
  const accounts = new Map<AccountId, DeviceId[]>();
  for (const { identity } of group.mls === undefined ? [] : membersOf(group.mls)) {
    const parsed = parseIdentity(identity);
    if (parsed === undefined) continue;
    accounts.set(parsed.account, [...(accounts.get(parsed.account) ?? []), parsed.device]);
  }
  return accounts;
}

export function membersStatus(
  group: Group,
  directory: Directory,
  me: Me,
  verified: (account: AccountId) => Verified,
): readonly MemberStatus[] {
  const roles = group.mls === undefined ? undefined : rolesOf(group.mls);
  return [...accountsOf(group)].map(([account, devices]) => ({
    name: directory.get(account)?.name ?? '?',
    account,
    devices,
    role: roles !== undefined && isAdmin(roles, account) ? 'admin' : 'member',
    me: account === me.account,
    verified: verified(account),
    ...marksOf(group, account),
  }));
}

/** Why this account may not do it; `undefined` when it may. */
export function forbidden(
  group: Group,
  action: 'invite' | 'remove' | 'promote' | 'demote' | 'set the policy',
  directory: Directory,
  me: Me,
): string | undefined {
  const state = notAMember(group);
  if (state !== undefined || group.mls === undefined) return state ?? 'this group cannot be used';
  const roles = rolesOf(group.mls);
  if (roles === undefined || isAdmin(roles, me.account)) return undefined;
  if (action === 'invite' && roles.invite === 'members') return undefined;
  const admins = roles.admins.map((account) => directory.get(account as AccountId)?.name ?? '?').join(', ');
  return `only administrators may ${action} here (${admins})`;
}

/** Why nothing can be changed in this group now; `undefined` when it can. */
export function notAMember(group: Group): string | undefined {
  if (group.leaving !== undefined && group.phase === 'member') return 'you are leaving this group';
  switch (group.phase) {
    case 'member':
      return undefined;
    case 'removed':
      return 'you are no longer a member';
    case 'parked':
      return `the group is parked: ${group.parkedReason ?? 'an entry could not be processed'}`;
    case 'creating':
    case 'joining':
      return 'the server has not answered yet';
  }
}

/** The group of this name that is best to open: one that is usable before one that was. */
export function findByName(groups: Iterable<Group>, name: string): Group | undefined {
  const folded = foldName(name);
  const rank = { member: 0, parked: 1, joining: 2, creating: 3, removed: 4 } as const;
  return [...groups]
    .filter((group) => foldName(group.name) === folded)
    .sort((a, b) => rank[a.phase] - rank[b.phase])[0];
}

export function hasAllDevices(group: Group, account: AccountId, devices: readonly DeviceId[]): boolean {
  const present = new Set(
    (group.mls === undefined ? [] : membersOf(group.mls))
      .filter((member) => accountOf(member.identity) === account)
      .map((member) => parseIdentity(member.identity)?.device),
  );
  return devices.every((device) => present.has(device));
}
