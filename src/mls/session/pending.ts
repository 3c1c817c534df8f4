import { type ClientState, encodeMlsMessage } from 'ts-mls';
import { equalBytes, fromBase64 } from '../../wire/bytes.ts';
import { identityOfCredential, KEY_PACKAGE_LIFETIME_MAX_MS } from '../config.ts';
import { MlsError } from '../errors.ts';
import { rolesIn } from '../framing.ts';
import { accountOf } from '../identity.ts';
import { checkKeyPackage } from '../key-package-check.ts';
import { type GroupRoles, inheritedRoles, isAdmin } from '../roles.ts';
import type { Suite } from '../suite.ts';
import { isWarranted } from './overreach.ts';
import { type GroupState, memberAt, membersIn, unwrap } from './state.ts';

/** Somebody who will be in the group after the commit. */
export interface Present {
  readonly identity: string;
  readonly signatureKey: Uint8Array;
  readonly encryptionKey: Uint8Array;
}

/** The pending proposals that a commit will refer to, valid together. */
export interface PendingPlan {
  readonly unapplied: ClientState['unappliedProposals'];
  /** References of those that are left out. */
  readonly dropped: readonly Uint8Array[];
  /** Leaves that they remove. */
  readonly removes: ReadonlySet<number>;
  /** Who is in the group once the removes (ours, too) and their adds are applied. */
  readonly present: readonly Present[];
  /** The roles that the commit sets: those it was asked to, or inherited ones. */
  readonly roles: GroupRoles | undefined;
}

/**
 * Chooses among the pending proposals those that are valid together (RFC 9420 §12.2), first come first served. The
 * library would refuse the whole commit for one that is not, and a group must not be stopped by whoever proposes two
 * things at once. Removes come first, because they make room for what is added.
 *
 * @param commit `inherits`: of an opaque group. When no administrator is left, the commit names one; else what would leave nobody is
 *   left out. No server has looked at what waits there: members, removals and roles that were not for their proposer to propose are
 *   left out, for others would hold them against whoever commits.
 *   `leavesLast`: our own removal is left out as well. `passesOver`: everything is
 * @throws MlsError `own-leave-pending` when our own removal waits: a committer cannot remove itself
 */
export async function selectPending(
  suite: Suite,
  state: ClientState,
  commit: {
    readonly now: number;
    readonly removes: readonly number[];
    readonly roles: GroupRoles | undefined;
    readonly inherits: boolean;
    readonly leavesLast: boolean;
    readonly passesOver: boolean;
  },
): Promise<PendingPlan> {
  const own = state.privatePath.leafIndex;
  const all = Object.entries(state.unappliedProposals);
  const warranted = commit.inherits ? all.filter(([, pending]) => isWarranted(state, pending)) : all;
  const entries = commit.passesOver ? [] : warranted;
  const kept = new Set<string>();

  const removes = new Set<number>();
  const leaving = new Set(commit.removes);
  const staysAdministered = commit.inherits ? () => true : administration(state, commit.roles);
  for (const [ref, { proposal }] of entries) {
    if (proposal.proposalType !== 'remove') continue;
    const leaf = proposal.remove.removed;
    if (leaf === own) {
      if (commit.leavesLast) continue;
      throw new MlsError('own-leave-pending', 'our own removal waits, another member has to commit it');
    }
    if (removes.has(leaf) || memberAt(state.ratchetTree, leaf) === undefined) continue;
    if (!leaving.has(leaf) && !staysAdministered(new Set([...leaving, leaf]))) continue;
    removes.add(leaf);
    leaving.add(leaf);
    kept.add(ref);
  }

  const present: Present[] = presentIn(state, leaving);
  const updated = new Set<number>([own]);
  const wanted = commit.roles ?? rolesIn(state.groupContext.extensions);
  const staying = present.map(({ identity }) => identity);
  const inherited = commit.inherits && wanted !== undefined ? inheritedRoles(wanted, staying) : undefined;
  const roles = inherited ?? commit.roles;
  let hasExtensions = roles !== undefined;
  for (const [ref, { proposal, senderLeafIndex }] of entries) {
    if (proposal.proposalType === 'update') {
      if (senderLeafIndex === undefined || leaving.has(senderLeafIndex) || updated.has(senderLeafIndex)) continue;
      updated.add(senderLeafIndex);
      kept.add(ref);
    } else if (proposal.proposalType === 'add') {
      const { keyPackage } = proposal.add;
      const bytes = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage });
      const planned = await planAdd(suite, bytes, present, commit.now);
      if ('refusal' in planned) continue;
      present.push(planned);
      kept.add(ref);
    } else if (proposal.proposalType === 'group_context_extensions' && !hasExtensions) {
      hasExtensions = true;
      kept.add(ref);
    }
  }
  return {
    unapplied: Object.fromEntries(entries.filter(([ref]) => kept.has(ref))),
    dropped: all.filter(([ref]) => !kept.has(ref)).map(([ref]) => fromBase64(ref)!),
    removes,
    present,
    roles,
  };
}

/** Whether our own removal waits, so that {@link selectPending} makes no commit unless it is told to leave it out. */
export function isOwnRemovalDue(state: GroupState, { handshakes }: { readonly handshakes?: 'private' }): boolean {
  const { unappliedProposals, privatePath } = unwrap(state);
  return Object.values(unappliedProposals).some(
    (pending) =>
      pending.proposal.proposalType === 'remove' &&
      pending.proposal.remove.removed === privatePath.leafIndex &&
      (handshakes !== 'private' || isWarranted(unwrap(state), pending)),
  );
}

/** Whether a key package may be added beside those who will be in the group (RFC 9420 §12.1.1, D10). */
export async function planAdd(
  suite: Suite,
  bytes: Uint8Array,
  present: readonly Present[],
  now: number,
): Promise<Present | { readonly refusal: string }> {
  const check = await checkKeyPackage(suite, bytes, { now, maxLifetimeMs: KEY_PACKAGE_LIFETIME_MAX_MS });
  if (check.kind === 'refused') return { refusal: check.reason };
  const { identity, signatureKey, encryptionKey } = check;
  const isPresent = present.some(
    (member) =>
      member.identity === identity ||
      equalBytes(member.signatureKey, signatureKey) ||
      equalBytes(member.encryptionKey, encryptionKey),
  );
  return isPresent ? { refusal: 'already a member' } : { identity, signatureKey, encryptionKey };
}

function presentIn(state: ClientState, leaving: ReadonlySet<number>): Present[] {
  return state.ratchetTree.flatMap((node, index) => {
    if (node?.nodeType !== 'leaf' || leaving.has(index / 2)) return [];
    const { credential, signaturePublicKey: signatureKey, hpkePublicKey: encryptionKey } = node.leaf;
    return [{ identity: identityOfCredential(credential) ?? '', signatureKey, encryptionKey }];
  });
}

/** Whether somebody who administers is left when these leaves go; the server takes no commit that leaves nobody. */
function administration(
  state: ClientState,
  newRoles: GroupRoles | undefined,
): (leaving: ReadonlySet<number>) => boolean {
  const roles = newRoles ?? rolesIn(state.groupContext.extensions);
  if (roles === undefined) return () => true;
  const admins = membersIn(state.ratchetTree).filter(({ identity }) => {
    const account = accountOf(identity);
    return account !== undefined && isAdmin(roles, account);
  });
  return (leaving) => admins.some(({ leaf }) => !leaving.has(leaf));
}
