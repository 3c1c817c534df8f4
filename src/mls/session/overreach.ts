import type { ClientState, Proposal } from 'ts-mls';
import { equalBytes } from '../../wire/bytes.ts';
import { identityOfCredential } from '../config.ts';
import { rolesIn } from '../framing.ts';
import { accountOf } from '../identity.ts';
import { encodeRoles, type GroupRoles, inheritedRoles, isAdmin, ROLES_EXTENSION } from '../roles.ts';
import { memberAt, membersIn } from './state.ts';

/**
 * Something in an accepted commit that the roles of the group did not allow to whoever proposed it. The commit counts all
 * the same, or the group would be split between those who mind and those who do not; members are told.
 *
 * - `adds`, `removes`: somebody who is not of the proposer's own account.
 * - `roles`: roles or policy of the group, but for those that are inherited when no administrator stays.
 * - `joins`: an external commit into a group that is by invitation.
 * - `orphans`: no administrator is left.
 *
 * `proposer`: its identity, where it is not the committer.
 */
export type Overreach = { readonly proposer?: string } & (
  | { readonly kind: 'adds' | 'removes' | 'joins'; readonly identity: string }
  | { readonly kind: 'roles' | 'orphans' }
);

interface Proposed {
  readonly proposal: Proposal;
  /** Absent where the committer proposed it in the commit itself. */
  readonly senderLeafIndex?: number | undefined;
}

/** @param committer its leaf before the commit; `undefined` for an external commit. */
export function overreachOf(
  before: ClientState,
  committer: number | undefined,
  proposals: readonly Proposed[],
): readonly Overreach[] {
  const roles = rolesIn(before.groupContext.extensions);
  if (roles === undefined) return [];
  if (committer === undefined) return [];
  return proposals.flatMap(({ proposal, senderLeafIndex }) => {
    const sender = memberAt(before.ratchetTree, senderLeafIndex ?? committer);
    const account = accountOf(sender?.identity ?? '');
    const admin = account !== undefined && isAdmin(roles, account);
    if (admin) return [];
    const isOthers = sender !== undefined && senderLeafIndex !== undefined && senderLeafIndex !== committer;
    const proposer = isOthers ? { proposer: sender.identity } : {};
    return judge(before, roles, account, proposal, proposals).map((each) => ({ ...each, ...proposer }));
  });
}

/**
 * Whether a pending proposal is by somebody whom the roles of the group allow it: an administrator, or for an add and a removal another
 * device of the account, for a removal the member itself, and for an add anybody where all members may invite.
 */
export function isWarranted(state: ClientState, { proposal, senderLeafIndex }: Proposed): boolean {
  if (rolesIn(state.groupContext.extensions) === undefined) return true;
  if (senderLeafIndex === undefined) return false;
  return overreachOf(state, senderLeafIndex, [{ proposal, senderLeafIndex }]).length === 0;
}

/** An external commit that none of the joiner's devices was a member before, into a group that is by invitation. */
export function joinOverreach(before: ClientState, joiner: string): readonly Overreach[] {
  const roles = rolesIn(before.groupContext.extensions);
  if (roles === undefined || roles.join === 'open') return [];
  const account = accountOf(joiner);
  const isKnown = membersIn(before.ratchetTree).some(({ identity }) => accountOf(identity) === account);
  return isKnown ? [] : [{ kind: 'joins', identity: joiner }];
}

/** Whether the epoch after a commit has an administrator among its members. */
export function orphanage(after: ClientState): readonly Overreach[] {
  const roles = rolesIn(after.groupContext.extensions);
  if (roles === undefined) return [];
  const administered = membersIn(after.ratchetTree).some(({ identity }) => isAdmin(roles, accountOf(identity) ?? ''));
  return administered ? [] : [{ kind: 'orphans' }];
}

/**
 * Whether new extensions only name the administrator that a commit with these proposals would leave a group without. Only an opaque
 * group inherits: the server of another takes no such commit.
 */
function isInheritance(
  { groupContext, ratchetTree }: ClientState,
  roles: GroupRoles,
  extensions: ClientState['groupContext']['extensions'],
  proposals: readonly Proposed[],
): boolean {
  if (roles.handshakes !== 'private') return false;
  const removed = new Set(
    proposals.flatMap(({ proposal }) => (proposal.proposalType === 'remove' ? [proposal.remove.removed] : [])),
  );
  const staying = membersIn(ratchetTree).flatMap(({ leaf, identity }) => (removed.has(leaf) ? [] : [identity]));
  const inherited = inheritedRoles(roles, staying);
  if (inherited === undefined || extensions.length !== groupContext.extensions.length) return false;
  return groupContext.extensions.every(({ extensionType, extensionData }) => {
    const wanted = extensionType === ROLES_EXTENSION ? encodeRoles(inherited) : extensionData;
    return extensions.some((one) => one.extensionType === extensionType && equalBytes(one.extensionData, wanted));
  });
}

function judge(
  before: ClientState,
  roles: GroupRoles,
  account: string | undefined,
  proposal: Proposal,
  all: readonly Proposed[],
): readonly Overreach[] {
  switch (proposal.proposalType) {
    case 'add': {
      const identity = identityOfCredential(proposal.add.keyPackage.leafNode.credential) ?? '';
      const allowed = roles.invite === 'members' || accountOf(identity) === account;
      return allowed ? [] : [{ kind: 'adds', identity }];
    }
    case 'remove': {
      const identity = memberAt(before.ratchetTree, proposal.remove.removed)?.identity ?? '';
      return accountOf(identity) === account ? [] : [{ kind: 'removes', identity }];
    }
    case 'group_context_extensions':
      return isInheritance(before, roles, proposal.groupContextExtensions.extensions, all) ? [] : [{ kind: 'roles' }];
    default:
      return [];
  }
}
