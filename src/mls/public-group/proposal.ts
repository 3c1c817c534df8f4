import type { Proposal } from 'ts-mls';
import { encodeAuthenticatedContent } from 'ts-mls/authenticatedContent.js';
import { verifyFramedContentSignature } from 'ts-mls/framedContent.js';
import type { LeafNode } from 'ts-mls/leafNode.js';
import { equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { KEY_PACKAGE_LIFETIME_MAX_MS } from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { refHash } from '../encoding/ref-hash.ts';
import { senderOf } from '../framing.ts';
import { type KnownProposal, summaryOf } from '../handshake.ts';
import { checkDecodedKeyPackage } from '../key-package-check.ts';
import type { Suite } from '../suite.ts';
import { leafCheck, placeRefusal, runChecks, type SignatureCheck } from './commit.ts';
import { conceal, leafNodeAt, membersOfTree, type PendingProposal, type PublicGroup, reveal } from './group.ts';
import { asNodes, clashRefusal } from './leaf-rules.ts';
import { administratorRefusal, proposalPolicy } from './policy.ts';
import { planProposals } from './proposals.ts';
import { isRefused, type Refused, refused } from './refusal.ts';
import type { CommitRules, Verifier } from './verify.ts';

/** More proposals than this do not wait in one epoch (D13). */
const PENDING_PROPOSALS_MAX = 256;

export interface AcceptedProposal {
  readonly kind: 'accepted';
  /** With the proposal pending; unchanged when it waits already. */
  readonly group: PublicGroup;
  readonly proposal: KnownProposal;
}

/**
 * The group with one more pending proposal that was accepted before: for a reducer, synchronous, no signature is
 * verified. `wrong-epoch` is the expected answer when a commit came first.
 */
export function foldProposal(group: PublicGroup, bytes: Uint8Array, sha256: Sha256): AcceptedProposal | Refused {
  const data = reveal(group);
  const pending = pendingFrom(bytes, sha256);
  if (isRefused(pending)) return pending;
  const misplaced = placeRefusal(data.context, pending.message.content);
  if (misplaced !== undefined) return misplaced;
  const { ref, sender, proposal } = pending;
  const isKnown = data.pending.some((known) => equalBytes(known.ref, ref));
  if (!isKnown && data.pending.length >= PENDING_PROPOSALS_MAX) return refused('too-many-proposals');
  const next = isKnown ? data : { ...data, pending: [...data.pending, pending] };
  return { kind: 'accepted', group: conceal(next), proposal: { ref, sender, proposal } };
}

/** Everything about a standalone proposal: a commit of it alone would be valid, and its sender may make it. */
export async function verifyProposal(
  { suite, sha256 }: Verifier,
  group: PublicGroup,
  bytes: Uint8Array,
  rules: Pick<CommitRules, 'now' | 'caller' | 'isSignatureKeyOf' | 'isClaimed'>,
): Promise<AcceptedProposal | Refused> {
  const folded = foldProposal(group, bytes, sha256);
  if (isRefused(folded)) return folded;
  const data = reveal(group);
  const pending = pendingFrom(bytes, sha256);
  if (isRefused(pending)) return pending;
  const { sender, message } = pending;
  const proposal = proposalIn(pending);

  // any other member could commit it: judge it as if one did, with nothing else in the commit
  const plan = planProposals(data, [{ proposal, sender, isReferenced: true }], { kind: 'member', leaf: NOBODY });
  if (isRefused(plan)) return plan;
  const signer = sender.kind === 'member' ? leafNodeAt(data, sender.leaf) : newcomerOf(proposal);
  if (signer === undefined) return refused('unknown-sender');
  const { identity } = membersOfTree(data).find(({ leaf }) => sender.kind === 'member' && leaf === sender.leaf) ?? {};
  if (sender.kind === 'member' && identity !== rules.caller) return refused('wrong-sender');
  const staying = membersOfTree(data).filter(({ leaf }) => !plan.removes.includes(leaf));
  const forbidden =
    proposalPolicy(data, proposal, sender) ??
    administratorRefusal(
      plan.extensions,
      staying.map((member) => member.identity),
    );
  if (forbidden !== undefined) return forbidden;
  const rivals = data.pending.flatMap((other) => (isSameSender(other, pending) ? [] : updatedLeafOf(other)));
  const clash = clashRefusal(
    plan.updates.map(({ node }) => node),
    asNodes(rivals),
  );
  if (clash !== undefined) return clash;
  const badLeaf = await newLeafRefusal(suite, proposal, pending, rules);
  if (badLeaf !== undefined) return badLeaf;

  const checks: SignatureCheck[] = [
    {
      reason: 'bad-signature',
      verify: ({ signature }) =>
        verifyFramedContentSignature(
          signer.signaturePublicKey,
          'mls_public_message',
          message.content,
          message.auth,
          data.context,
          signature,
        ),
    },
    ...plan.updates.map(({ leaf, node }) => leafCheck(node, data.context.groupId, leaf)),
  ];
  return (await runChecks(suite, checks)) ?? folded;
}

/** No leaf has this index, so no proposal can be the committer's own. */
const NOBODY = -1;

/** @returns the pending proposal that these bytes are, its place not yet compared */
export function pendingFrom(bytes: Uint8Array, sha256: Sha256): PendingProposal | Refused {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded) return refused('malformed', decoded.malformed);
  if (decoded.message.wireformat !== 'mls_public_message') return refused('not-a-proposal');
  const message = decoded.message.publicMessage;
  const { content, auth } = message;
  if (content.contentType !== 'proposal') return refused('not-a-proposal');
  const encoded = encodeAuthenticatedContent({ wireformat: 'mls_public_message', content, auth });
  return {
    ref: refHash('MLS 1.0 Proposal Reference', encoded, sha256),
    sender: senderOf(content.sender),
    proposal: summaryOf(content.proposal, sha256),
    message,
    bytes: bytes.slice(),
  };
}

function proposalIn({ message }: PendingProposal): Proposal {
  const { content } = message;
  if (content.contentType !== 'proposal') throw new TypeError('a pending proposal is a proposal');
  return content.proposal;
}

function isSameSender({ sender: a }: PendingProposal, { sender: b }: PendingProposal): boolean {
  return a.kind === 'member' && b.kind === 'member' && a.leaf === b.leaf;
}

function updatedLeafOf(pending: PendingProposal): LeafNode[] {
  const proposal = proposalIn(pending);
  return proposal.proposalType === 'update' ? [proposal.update.leafNode] : [];
}

/** Whoever proposes to add itself signs with the key of its package (RFC 9420 §12.1.8). */
function newcomerOf(proposal: Proposal) {
  return proposal.proposalType === 'add' ? proposal.add.keyPackage.leafNode : undefined;
}

async function newLeafRefusal(
  suite: Suite,
  proposal: Proposal,
  { sender, proposal: summary }: PendingProposal,
  rules: Pick<CommitRules, 'now' | 'caller' | 'isSignatureKeyOf' | 'isClaimed'>,
): Promise<Refused | undefined> {
  if (summary.kind === 'update' || summary.kind === 'add') {
    if (!rules.isSignatureKeyOf(summary.identity, summary.signatureKey)) return refused('unknown-signature-key');
  }
  if (proposal.proposalType !== 'add' || summary.kind !== 'add') return undefined;
  const expectations = { now: rules.now, maxLifetimeMs: KEY_PACKAGE_LIFETIME_MAX_MS };
  const check = await checkDecodedKeyPackage(suite, proposal.add.keyPackage, expectations);
  if (check.kind === 'refused') return refused('bad-key-package', check.reason);
  if (sender.kind === 'new-member-proposal') {
    return check.identity === rules.caller ? undefined : refused('wrong-sender');
  }
  return rules.isClaimed(check.ref, check.identity) ? undefined : refused('unclaimed-key-package');
}
