import type { Proposal } from 'ts-mls';
import { identityOfCredential } from '../config.ts';
import { type HandshakeSender, rolesIn } from '../framing.ts';
import { accountOf } from '../identity.ts';
import { type GroupRoles, isAdmin } from '../roles.ts';
import { type GroupData, memberOf, membersOfTree } from './group.ts';
import type { ProposalPlan } from './proposals.ts';
import { type Refused, refused } from './refusal.ts';

/**
 * Whether the roles of the group allow one proposal to its sender: adds by the invite policy, removes of others and
 * changes of roles for administrators; own leave, own update, devices of the own account, and the removal of a device that
 * its account has revoked, for everybody. In a group without roles all are equal.
 */
export function proposalPolicy(data: GroupData, proposal: Proposal, sender: HandshakeSender): Refused | undefined {
  const roles = rolesIn(data.context.extensions);
  return roles === undefined ? undefined : roleRefusal(data, roles, proposal, sender);
}

/** Whether the device behind an identity was revoked by its account. */
export type IsRevoked = (identity: string) => boolean;

function roleRefusal(
  data: GroupData,
  roles: GroupRoles,
  proposal: Proposal,
  sender: HandshakeSender,
  isRevoked: IsRevoked = () => false,
): Refused | undefined {
  if (sender.kind !== 'member') {
    return proposal.proposalType === 'add' && sender.kind === 'new-member-proposal' && roles.join === 'open'
      ? undefined
      : refused('join-closed');
  }
  const who = memberOf(data, sender.leaf);
  const admin = who !== undefined && isAdminIdentity(roles, who.identity);
  switch (proposal.proposalType) {
    case 'add': {
      const added = accountOf(identityOfCredential(proposal.add.keyPackage.leafNode.credential) ?? '');
      const isOwn = added !== undefined && added === accountOf(who?.identity ?? '');
      return admin || isOwn || roles.invite === 'members' ? undefined : refused('forbidden', 'adds members');
    }
    case 'remove': {
      const removed = memberOf(data, proposal.remove.removed);
      const isOwn = removed !== undefined && accountOf(removed.identity) === accountOf(who?.identity ?? '');
      const isGone = removed !== undefined && isRevoked(removed.identity);
      return admin || isOwn || isGone ? undefined : refused('forbidden', 'removes somebody else');
    }
    case 'group_context_extensions':
      return admin ? undefined : refused('forbidden', 'changes roles');
    default:
      return undefined;
  }
}

/** The same for everything that a commit applies, and that an administrator is left afterwards. */
export function commitPolicy(data: GroupData, plan: ProposalPlan, isRevoked?: IsRevoked): Refused | undefined {
  const roles = rolesIn(data.context.extensions);
  if (roles === undefined) return undefined;
  for (const { proposal, sender } of plan.applied) {
    const refusal = roleRefusal(data, roles, proposal, sender, isRevoked);
    if (refusal !== undefined) return refusal;
  }
  if (plan.removes.length === 0 && !plan.replacesExtensions) return undefined;
  const staying = membersOfTree(data)
    .filter(({ leaf }) => !plan.removes.includes(leaf))
    .map(({ identity }) => identity);
  const added = plan.adds.map((keyPackage) => identityOfCredential(keyPackage.leafNode.credential) ?? '');
  return administratorRefusal(plan.extensions, [...staying, ...added]);
}

/**
 * An external commit: a device may always replace its own leaf and join the account's other devices; anybody else
 * only when the group is open (D11, D18).
 */
export function externalPolicy(data: GroupData, joiner: string): Refused | undefined {
  const roles = rolesIn(data.context.extensions);
  if (roles === undefined || roles.join === 'open') return undefined;
  const account = accountOf(joiner);
  const isKnown = account !== undefined && membersOfTree(data).some(({ identity }) => accountOf(identity) === account);
  return isKnown ? undefined : refused('join-closed');
}

/** The last administrator cannot go without naming another. */
export function administratorRefusal(
  extensions: GroupData['context']['extensions'],
  identities: readonly string[],
): Refused | undefined {
  const roles = rolesIn(extensions);
  if (roles === undefined) return undefined;
  return identities.some((identity) => isAdminIdentity(roles, identity)) ? undefined : refused('no-administrator');
}

function isAdminIdentity(roles: GroupRoles, identity: string): boolean {
  const account = accountOf(identity);
  return account !== undefined && isAdmin(roles, account);
}
