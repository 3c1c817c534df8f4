import type { CommitSummary, LeafSummary } from '../../mls/handshake.ts';
import { accountOf, formatIdentity, parseIdentity } from '../../mls/identity.ts';
import { type GroupRoles, isAdmin } from '../../mls/roles.ts';
import type { Roster } from '../../mls/roster.ts';
import type { DeviceView, MemberView } from '../../projections/read-model.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { CommitContext } from './check-commit.ts';
import { invalidCommit } from './refusal.ts';

/** The group as it will be. */
export interface After {
  readonly roster: Roster;
  readonly committer: number;
  readonly roles: GroupRoles;
}

export function identityOf(domain: string, { account, device }: Pick<MemberView, 'account' | 'device'>): string {
  return formatIdentity({ domain, account, device });
}

/** Updated leaves and the committer's new one stay with their device, under keys that device registered. */
export function checkLeaves(context: CommitContext, before: Roster, commit: CommitSummary): void {
  const { domain, caller, readModel } = context;
  for (const { leaf, ...summary } of commit.updates) {
    const device = readModel.device(parseIdentity(before[leaf]?.identity ?? '')?.device ?? ('' as DeviceView['id']));
    if (device === undefined) throw invalidCommit('unknown-device');
    checkLeaf(domain, device, summary);
  }
  if (commit.committer !== undefined) checkLeaf(domain, caller, commit.committer);
}

/** Added packages were claimed for this group and are of registered devices; nobody gets in twice (D8, D10). */
export function checkAdds(context: CommitContext, commit: CommitSummary, after: Roster): void {
  const { domain, group, readModel, limits } = context;
  for (const { keyPackageRef, ...leaf } of commit.adds) {
    const identity = parseIdentity(leaf.identity);
    const device = identity === undefined ? undefined : readModel.device(identity.device);
    if (device === undefined) throw invalidCommit('unknown-device');
    checkLeaf(domain, device, leaf);
    const claim = readModel.claimOf(keyPackageRef, group.id);
    if (claim?.group !== group.id || claim.device !== device.id) throw invalidCommit('package-not-claimed');
  }
  const present = after.filter((leaf) => leaf !== null);
  if (present.length > limits.groupMaxMembers) throw invalidCommit('too-many-members');
  if (new Set(present.map(({ identity }) => identity)).size < present.length) throw invalidCommit('duplicate-member');
  const keys = new Set(present.map(({ signatureKey }) => toBase64Url(signatureKey)));
  if (keys.size < present.length) throw invalidCommit('duplicate-key');
}

/** Who may do what: adds by policy; removes of others and role changes by administrators; leaving and updating by all. */
export function checkRoles(
  context: CommitContext,
  commit: CommitSummary,
  leavers: ReadonlySet<number>,
  after: After,
): void {
  const { group, caller } = context;
  const mayManage = isAdmin(group.roles, caller.account);
  if (commit.adds.length > 0 && !mayManage && group.roles.invite !== 'members') throw invalidCommit('not-allowed');
  for (const leaf of commit.removes) {
    const isOwn = group.roster[leaf]?.account === caller.account;
    if (!isOwn && !mayManage && !leavers.has(leaf)) throw invalidCommit('not-allowed');
  }
  if (commit.rolesChanged && !mayManage) throw invalidCommit('not-allowed');
  if (commit.rolesChanged && commit.roles === undefined) throw invalidCommit('invalid-roles');
  const accounts = new Set(after.roster.map((leaf) => (leaf === null ? undefined : accountOf(leaf.identity))));
  const present = after.roles.admins.filter((admin) => accounts.has(admin as MemberView['account']));
  if (present.length === 0) throw invalidCommit('last-admin');
  if (commit.rolesChanged && present.length < after.roles.admins.length) throw invalidCommit('invalid-roles');
}

function checkLeaf(domain: string, device: DeviceView, leaf: LeafSummary): void {
  if (leaf.identity !== identityOf(domain, { account: device.account, device: device.id })) {
    throw invalidCommit('wrong-identity');
  }
  if (!device.signatureKeys.some((key) => equalBytes(key, leaf.signatureKey))) {
    throw invalidCommit('unknown-signature-key');
  }
}
