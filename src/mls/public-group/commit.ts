import type { GroupContext, RatchetTree } from 'ts-mls';
import type { FramedContentCommit } from 'ts-mls/framedContent.js';
import { verifyFramedContentSignature } from 'ts-mls/framedContent.js';
import { verifyLeafNodeSignature } from 'ts-mls/leafNode.js';
import { addLeafNode, removeLeafNode, updateLeafNode } from 'ts-mls/ratchetTree.js';
import { encodeConfirmedTranscriptHashInput } from 'ts-mls/transcriptHash.js';
import { toLeafIndex } from 'ts-mls/treemath.js';
import { concatBytes, equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { identityOfCredential } from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { withLength } from '../encoding/ref-hash.ts';
import { type HandshakeSender, rolesIn, senderOf } from '../framing.ts';
import type { GroupRoles } from '../roles.ts';
import type { Suite } from '../suite.ts';
import { conceal, type GroupData, leafNodeAt, memberOf, type PublicGroup, reveal } from './group.ts';
import { type HashedTree, treeHashOf, withNodes } from './hashed-tree.ts';
import { newLeafRefusal, successorRefusal, uniquenessRefusal } from './leaf-rules.ts';
import { type ProposalPlan, planProposals, resolveProposals } from './proposals.ts';
import { isRefused, type PublicGroupRefusal, type Refused, refused } from './refusal.ts';
import { applyPath } from './update-path.ts';

interface PublicMember {
  readonly leaf: number;
  readonly identity: string;
  readonly signatureKey: Uint8Array;
}

/** What a commit did, as everybody can see it. */
export interface PublicCommitEffect {
  /** The new epoch. */
  readonly epoch: number;
  readonly committer: { readonly leaf: number; readonly identity: string; readonly external: boolean };
  /** In the order of the leaves they got; an external joiner included. */
  readonly added: readonly PublicMember[];
  /** As they were. */
  readonly removed: readonly PublicMember[];
  /** After the commit, whether or not it changed them. */
  readonly roles?: GroupRoles;
  readonly rolesChanged: boolean;
}

export interface FoldedCommit {
  readonly kind: 'folded';
  readonly group: PublicGroup;
  readonly effect: PublicCommitEffect;
}

/**
 * The group after a commit that was accepted before: for a reducer, synchronous, no signature is verified. All other
 * rules hold nevertheless, so a refusal means that the log holds something that should not be there.
 */
export function foldCommit(group: PublicGroup, commit: Uint8Array, sha256: Sha256): FoldedCommit | Refused {
  const evolved = evolveCommit(reveal(group), commit, sha256);
  return isRefused(evolved) ? evolved : { kind: 'folded', group: conceal(evolved.next), effect: evolved.effect };
}

// ─── for the operations in this folder ───

/** A signature that remains to be verified, and what it means when it is wrong. */
export interface SignatureCheck {
  readonly reason: PublicGroupRefusal;
  readonly verify: (suite: Suite) => Promise<boolean>;
}

export interface EvolvedCommit {
  readonly next: GroupData;
  readonly plan: ProposalPlan;
  readonly sender: HandshakeSender;
  readonly effect: PublicCommitEffect;
  /** New leaves of members who were there, and of an external joiner. */
  readonly newLeaves: readonly { readonly identity: string; readonly signatureKey: Uint8Array }[];
  readonly checks: readonly SignatureCheck[];
}

/** Everything about a commit that needs neither signatures nor anything outside the group. */
export function evolveCommit(data: GroupData, bytes: Uint8Array, sha256: Sha256): EvolvedCommit | Refused {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded) return refused('malformed', decoded.malformed);
  if (decoded.message.wireformat !== 'mls_public_message') return refused('not-a-commit');
  const { content, auth } = decoded.message.publicMessage;
  if (content.contentType !== 'commit' || auth.contentType !== 'commit') return refused('not-a-commit');
  const misplaced = placeRefusal(data.context, content);
  if (misplaced !== undefined) return misplaced;

  const sender = senderOf(content.sender);
  const { path } = content.commit;
  const before = sender.kind === 'member' ? leafNodeAt(data, sender.leaf) : undefined;
  if (sender.kind === 'member' ? before === undefined : sender.kind !== 'new-member-commit') {
    return refused('unknown-sender');
  }
  const applied = resolveProposals(data, content.commit, sender);
  if (isRefused(applied)) return applied;
  const joiner = path === undefined ? undefined : identityOfCredential(path.leafNode.credential);
  const plan = planProposals(data, applied, sender, joiner);
  if (isRefused(plan)) return plan;
  if (path === undefined && isPathNeeded(plan)) return refused('path-missing');

  const mutated = applyPlan(data.tree.nodes, plan);
  let { nodes } = mutated;
  let committer = sender.kind === 'member' ? sender.leaf : -1;
  if (before === undefined && path !== undefined) {
    const [joined, index] = addLeafNode(nodes, path.leafNode);
    nodes = joined;
    committer = index / 2;
  }
  let tree: HashedTree = withNodes(data.tree, nodes);
  if (path !== undefined) {
    const leafProblem =
      newLeafRefusal(path.leafNode, 'commit', data.context, plan.extensions) ??
      (before === undefined ? undefined : successorRefusal(before, path.leafNode));
    if (leafProblem !== undefined) return leafProblem;
    const walked = applyPath(tree, committer, path, mutated.addedLeaves, sha256);
    if (isRefused(walked)) return walked;
    tree = walked;
  }
  const duplicate = uniquenessRefusal(data.tree, tree);
  if (duplicate !== undefined) return duplicate;

  const next: GroupData = {
    context: nextContext(data, content, auth.signature, plan, treeHashOf(tree, sha256), sha256),
    confirmationTag: auth.confirmationTag,
    tree,
    pending: [],
  };
  const signer = before ?? path?.leafNode;
  if (signer === undefined) return refused('unknown-sender');
  const added = [...mutated.addedLeaves, ...(before === undefined ? [committer] : [])];
  const { groupId } = data.context;
  return {
    next,
    plan,
    sender,
    effect: effectOf(data, next, plan, committer, before === undefined, added),
    newLeaves: [...plan.updates.map(({ node }) => node), ...(path === undefined ? [] : [path.leafNode])].map(
      (leaf) => ({
        identity: identityOfCredential(leaf.credential) ?? '',
        signatureKey: leaf.signaturePublicKey,
      }),
    ),
    checks: [
      {
        reason: 'bad-signature',
        verify: ({ signature }) =>
          verifyFramedContentSignature(
            signer.signaturePublicKey,
            'mls_public_message',
            content,
            auth,
            data.context,
            signature,
          ),
      },
      ...plan.updates.map(({ leaf, node }) => leafCheck(node, groupId, leaf)),
      ...(path === undefined ? [] : [leafCheck(path.leafNode, groupId, committer)]),
    ],
  };
}

/** Runs the checks in order; the first that fails is the refusal. */
export async function runChecks(suite: Suite, checks: readonly SignatureCheck[]): Promise<Refused | undefined> {
  for (const { reason, verify } of checks) {
    if (!(await holds(() => verify(suite)))) return refused(reason);
  }
  return undefined;
}

async function holds(verify: () => Promise<boolean>): Promise<boolean> {
  try {
    return await verify();
  } catch {
    return false; // a key or a signature that the suite cannot even read
  }
}

export function leafCheck(
  leaf: Parameters<typeof verifyLeafNodeSignature>[0],
  groupId: Uint8Array,
  index: number,
): SignatureCheck {
  return {
    reason: 'bad-leaf-signature',
    verify: ({ signature }) => verifyLeafNodeSignature(leaf, groupId, index, signature),
  };
}

export function placeRefusal(
  context: GroupContext,
  content: { readonly groupId: Uint8Array; readonly epoch: bigint },
): Refused | undefined {
  if (!equalBytes(content.groupId, context.groupId)) return refused('wrong-group');
  return content.epoch === context.epoch ? undefined : refused('wrong-epoch', `${content.epoch}`);
}

/** RFC 9420 §12.4: only a commit of nothing but adds may go without a path. */
function isPathNeeded(plan: ProposalPlan): boolean {
  return plan.applied.length === 0 || plan.applied.some(({ proposal }) => proposal.proposalType !== 'add');
}

/** RFC 9420 §12.4.2: updates, removes, adds. */
function applyPlan(before: RatchetTree, plan: ProposalPlan): { nodes: RatchetTree; addedLeaves: number[] } {
  let nodes = before;
  for (const { leaf, node } of plan.updates) nodes = updateLeafNode(nodes, node, toLeafIndex(leaf));
  for (const leaf of plan.removes) nodes = removeLeafNode(nodes, toLeafIndex(leaf));
  const addedLeaves: number[] = [];
  for (const { leafNode } of plan.adds) {
    const [grown, index] = addLeafNode(nodes, leafNode);
    nodes = grown;
    addedLeaves.push(index / 2);
  }
  return { nodes, addedLeaves };
}

/** Transcript hashes of RFC 9420 §8.2. */
function nextContext(
  { context, confirmationTag }: GroupData,
  content: FramedContentCommit,
  signature: Uint8Array,
  plan: ProposalPlan,
  treeHash: Uint8Array,
  sha256: Sha256,
): GroupContext {
  const interim = sha256(concatBytes(context.confirmedTranscriptHash, withLength(confirmationTag)));
  const input = encodeConfirmedTranscriptHashInput({ wireformat: 'mls_public_message', content, signature });
  return {
    ...context,
    epoch: context.epoch + 1n,
    treeHash,
    confirmedTranscriptHash: sha256(concatBytes(interim, input)),
    extensions: plan.extensions,
  };
}

function effectOf(
  before: GroupData,
  after: GroupData,
  plan: ProposalPlan,
  committer: number,
  external: boolean,
  added: readonly number[],
): PublicCommitEffect {
  const roles = rolesIn(plan.extensions);
  return {
    epoch: Number(after.context.epoch),
    committer: { leaf: committer, identity: memberOf(after, committer)?.identity ?? '', external },
    added: added.flatMap((leaf) => memberOf(after, leaf) ?? []),
    removed: plan.removes.flatMap((leaf) => memberOf(before, leaf) ?? []),
    ...(roles === undefined ? {} : { roles }),
    rolesChanged: plan.replacesExtensions,
  };
}
