import type { Proposal } from 'ts-mls';
import { identityOfCredential } from '../config.ts';
import type { HandshakeSender } from '../framing.ts';
import { type GroupData, membersOfTree } from './group.ts';
import { commitPolicy } from './policy.ts';
import { type AppliedProposal, type ProposalPlan, planProposals } from './proposals.ts';
import { isRefused, type Refused, refused } from './refusal.ts';

/** What the registry of devices says now; it may have changed since the proposal was accepted. */
export interface ProposalValidity {
  /** ms */
  readonly now: number;
  readonly isSignatureKeyOf: (identity: string, signatureKey: Uint8Array) => boolean;
  readonly isRevoked?: (identity: string) => boolean;
}

/**
 * A commit has to contain every valid pending proposal (RFC 9420 §12.4). One may be missing when the commit could not
 * contain it beside what it does contain, when it has become invalid by itself, or when it is the committer's own leave and everybody
 * else goes who has asked for that, or is revoked: otherwise two proposals that exclude each other, a device revoked in between, or the
 * last members leaving together would stop the group for ever.
 */
export function uncoveredRefusal(
  data: GroupData,
  plan: ProposalPlan,
  committer: HandshakeSender,
  validity: ProposalValidity,
): Refused | undefined {
  const inCommit = new Set(plan.applied.map(({ proposal }) => proposal));
  for (const { message, sender } of data.pending) {
    const { content } = message;
    if (content.contentType !== 'proposal' || inCommit.has(content.proposal)) continue;
    const missing: AppliedProposal = { proposal: content.proposal, sender, isReferenced: true };
    if (isCommittable(data, plan, missing, committer, validity)) {
      return refused('uncovered-proposal', String(content.proposal.proposalType));
    }
  }
  return undefined;
}

function isCommittable(
  data: GroupData,
  plan: ProposalPlan,
  missing: AppliedProposal,
  committer: HandshakeSender,
  validity: ProposalValidity,
): boolean {
  if (!isStillValid(missing.proposal, validity)) return false;
  const extended = planProposals(data, [...plan.applied, missing], committer);
  // who is asked to go cannot commit that, but it cannot go on committing either: somebody else has to, where somebody else is left
  if (isRefused(extended)) return extended.reason === 'removes-committer' && !isAlone(data, plan, committer, validity);
  return commitPolicy(data, extended) === undefined;
}

/** Whether the commit leaves nobody but the committer, and takes out nobody who could have committed its leave. */
function isAlone(
  data: GroupData,
  { applied, removes, adds }: ProposalPlan,
  committer: HandshakeSender,
  { isRevoked = () => false }: ProposalValidity,
): boolean {
  const asked = new Set(
    applied.flatMap(({ proposal, sender }) =>
      proposal.proposalType === 'remove' && sender.kind === 'member' && sender.leaf === proposal.remove.removed
        ? [sender.leaf]
        : [],
    ),
  );
  return (
    adds.length === 0 &&
    membersOfTree(data).every(({ leaf, identity }) => {
      if (committer.kind === 'member' && committer.leaf === leaf) return true;
      return removes.includes(leaf) && (asked.has(leaf) || isRevoked(identity));
    })
  );
}

function isStillValid(proposal: Proposal, { now, isSignatureKeyOf }: ProposalValidity): boolean {
  const leaf =
    proposal.proposalType === 'add'
      ? proposal.add.keyPackage.leafNode
      : proposal.proposalType === 'update'
        ? proposal.update.leafNode
        : undefined;
  if (leaf === undefined) return true;
  if (leaf.leafNodeSource === 'key_package' && Number(leaf.lifetime.notAfter) * 1000 < now) return false;
  return isSignatureKeyOf(identityOfCredential(leaf.credential) ?? '', leaf.signaturePublicKey);
}
