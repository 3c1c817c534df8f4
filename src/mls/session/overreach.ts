import type { ClientState, Proposal } from 'ts-mls';
import { identityOfCredential } from '../config.ts';
import { rolesIn } from '../framing.ts';
import { accountOf } from '../identity.ts';
import { type GroupRoles, isAdmin } from '../roles.ts';
import { memberAt, membersIn } from './state.ts';

/**
 * Something in an accepted commit that the roles of the group did not allow to whoever proposed it. The commit counts all
 * the same, or the group would be split between those who mind and those who do not; members are told.
 *
 * - `adds`, `removes`: somebody who is not of the proposer's own account.
 * - `roles`: roles or policy of the group.
 * - `joins`: an external commit into a group that is by invitation.
 * - `orphans`: no administrator is left.
 */
export type Overreach =
  | { readonly kind: 'adds' | 'removes' | 'joins'; readonly identity: string }
  | { readonly kind: 'roles' | 'orphans' };

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
    return admin ? [] : judge(before, roles, account, proposal);
  });
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

function judge(
  before: ClientState,
  roles: GroupRoles,
  account: string | undefined,
  proposal: Proposal,
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
      return [{ kind: 'roles' }];
    default:
      return [];
  }
}
