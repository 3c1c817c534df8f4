import { accountOf } from '../../mls/identity.ts';
import type { GroupRoles } from '../../mls/roles.ts';
import { type GroupState as MlsState, membersOf, pendingProposalsOf, rolesOf } from '../../mls/session/state.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import type { Person } from '../chat-client.ts';
import type { EngineEnv, LineDraft } from './types.ts';

/** Who came and went where this device could not look; `undefined` when nobody did. */
export function meanwhileText(
  { added, removed }: Pick<MembershipChange, 'added' | 'removed'>,
  { directory }: EngineEnv,
): string | undefined {
  const names = (members: MembershipChange['added']) =>
    [...new Set(members.map(({ identity }) => directory.personOf(identity).name))].join(', ');
  const parts = [
    ...(added.length === 0 ? [] : [`added ${names(added)}`]),
    ...(removed.length === 0 ? [] : [`removed ${names(removed)}`]),
  ];
  return parts.length === 0 ? undefined : `Meanwhile, unseen here, members were changed: ${parts.join('; ')}.`;
}

/** What one commit, or several that were not seen, did to the members of a group. */
interface MembershipChange {
  readonly appointed?: readonly Person[];
  readonly dismissed?: readonly Person[];
  readonly invite?: 'admins' | 'members';
  readonly join?: 'invite' | 'open';
  readonly added: readonly { readonly identity: string }[];
  readonly removed: readonly { readonly identity: string }[];
  /** Identities of members that had asked to go. */
  readonly asked?: ReadonlySet<string>;
  /** Who is in the group now. */
  readonly now: () => readonly { readonly identity: string }[];
}

/** The line that a commit is in people's history. */
export function membershipLine(
  env: EngineEnv,
  { time, position }: { readonly time: number; readonly position?: number },
  by: Person,
  epoch: number,
  change: MembershipChange,
): LineDraft {
  // a member that joined again replaces its own leaf: nobody came and nobody went
  const came = new Set(change.added.map((member) => member.identity));
  const went = new Set(change.removed.map((member) => member.identity));
  const added = change.added.filter((member) => !went.has(member.identity));
  const removed = change.removed.filter((member) => !came.has(member.identity));
  const left = removed.filter((member) => change.asked?.has(member.identity));
  const devices = devicesIn(added, removed, change);
  return {
    kind: 'membership',
    by,
    added: added.map((member) => env.directory.personOf(member.identity)),
    removed: removed.map((member) => env.directory.personOf(member.identity)),
    ...(left.length === 0 ? {} : { left: left.map((member) => env.directory.personOf(member.identity)) }),
    ...(devices.length === 0 ? {} : { devices: devices.map((member) => env.directory.personOf(member.identity)) }),
    rotated: added.length === 0 && removed.length === 0 && !changesRoles(change),
    ...rolesPart(change),
    epoch,
    time,
    ...(position === undefined ? {} : { position }),
  };
}

/** Those who came or went of accounts that were there before and are there still. */
function devicesIn(
  added: MembershipChange['added'],
  removed: MembershipChange['removed'],
  { now }: MembershipChange,
): MembershipChange['added'] {
  if (added.length + removed.length === 0) return [];
  const present = now();
  const came = new Set(added.map(({ identity }) => identity));
  const stayed = present.filter(({ identity }) => !came.has(identity));
  const before = new Set([...stayed, ...removed].map(({ identity }) => accountOf(identity)));
  const after = new Set(present.map(({ identity }) => accountOf(identity)));
  return [...added, ...removed].filter(({ identity }) => {
    const account = accountOf(identity);
    return before.has(account) && after.has(account);
  });
}

function changesRoles({ appointed = [], dismissed = [], invite, join }: MembershipChange): boolean {
  return appointed.length > 0 || dismissed.length > 0 || invite !== undefined || join !== undefined;
}

function rolesPart(change: MembershipChange): Pick<MembershipChange, 'appointed' | 'dismissed' | 'invite' | 'join'> {
  const { appointed = [], dismissed = [], invite, join } = change;
  return {
    ...(appointed.length === 0 ? {} : { appointed }),
    ...(dismissed.length === 0 ? {} : { dismissed }),
    ...(invite === undefined ? {} : { invite }),
    ...(join === undefined ? {} : { join }),
  };
}

/** What became of the roles: who administers now and did not, and the other way round. Devices play no part in it. */
export function rolesChange(env: EngineEnv, before: GroupRoles | undefined, after: GroupRoles | undefined) {
  const people = (accounts: readonly string[]): readonly Person[] =>
    accounts.map((account) => env.directory.person(account as AccountId, '' as DeviceId));
  const [was, is] = [before?.admins ?? [], after?.admins ?? []];
  return {
    appointed: people(is.filter((account) => !was.includes(account))),
    dismissed: people(was.filter((account) => !is.includes(account))),
    ...(after === undefined || before?.invite === after.invite ? {} : { invite: after.invite }),
    ...(after === undefined || before?.join === after.join ? {} : { join: after.join }),
  };
}

/** Identities of the members whose own wish to go waits for a commit. */
export function askedToGo(mls: MlsState): ReadonlySet<string> {
  const leaves = new Set(
    pendingProposalsOf(mls).flatMap(({ sender, proposal }) =>
      sender.kind === 'member' && proposal.kind === 'remove' && proposal.leaf === sender.leaf ? [sender.leaf] : [],
    ),
  );
  return new Set(membersOf(mls).flatMap(({ leaf, identity }) => (leaves.has(leaf) ? [identity] : [])));
}

/** The difference between two states of a group, as far as people see it. */
export function changesBetween(env: EngineEnv, before: MlsState, after: MlsState): MembershipChange {
  const old = membersOf(before);
  const now = membersOf(after);
  const had = new Set(old.map((member) => member.identity));
  const has = new Set(now.map((member) => member.identity));
  return {
    ...rolesChange(env, rolesOf(before), rolesOf(after)),
    added: now.filter((member) => !had.has(member.identity)),
    removed: old.filter((member) => !has.has(member.identity)),
    asked: askedToGo(before),
    now: () => now,
  };
}
