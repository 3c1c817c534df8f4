import type { KeyPackage, Proposal } from 'ts-mls';
import type { Commit } from 'ts-mls/commit.js';
import type { LeafNode } from 'ts-mls/leafNode.js';
import { equalBytes } from '../../wire/bytes.ts';
import { isUsableKemKey } from '../encoding/kem-key.ts';
import { type HandshakeSender, rolesIn } from '../framing.ts';
import { contextExtensionsRefusal } from './context-extensions.ts';
import { type GroupData, leafNodeAt, memberOf, membersOfTree, type PendingProposal } from './group.ts';
import { clashRefusal, newLeafRefusal, successorRefusal, supportsGroup } from './leaf-rules.ts';
import { type Refused, refused } from './refusal.ts';

/** A commit with more proposals than this is refused before any of them is looked at (D13). */
const COMMIT_PROPOSALS_MAX = 4000;

/** What a commit applies, each with who wants it: that is whose role counts. */
export interface AppliedProposal {
  readonly proposal: Proposal;
  readonly sender: HandshakeSender;
  readonly isReferenced: boolean;
}

/** The effect of a commit's proposals, found valid together. */
export interface ProposalPlan {
  readonly applied: readonly AppliedProposal[];
  readonly updates: readonly { readonly leaf: number; readonly node: LeafNode }[];
  readonly removes: readonly number[];
  readonly adds: readonly KeyPackage[];
  readonly extensions: GroupData['context']['extensions'];
  readonly replacesExtensions: boolean;
  readonly externalInit: boolean;
}

/** The proposals of a commit, references resolved (D3). */
export function resolveProposals(
  data: GroupData,
  commit: Commit,
  sender: HandshakeSender,
): readonly AppliedProposal[] | Refused {
  if (commit.proposals.length > COMMIT_PROPOSALS_MAX) return refused('too-many-proposals');
  const applied: AppliedProposal[] = [];
  const used = new Set<PendingProposal>();
  for (const item of commit.proposals) {
    if (item.proposalOrRefType === 'proposal') {
      applied.push({ proposal: item.proposal, sender, isReferenced: false });
      continue;
    }
    if (sender.kind === 'new-member-commit') return refused('external-reference');
    const known = data.pending.find((pending) => equalBytes(pending.ref, item.reference));
    if (known === undefined) return refused('unknown-proposal');
    if (used.has(known)) return refused('duplicate-proposal');
    used.add(known);
    const { content } = known.message;
    if (content.contentType !== 'proposal') return refused('unknown-proposal');
    applied.push({ proposal: content.proposal, sender: known.sender, isReferenced: true });
  }
  return applied;
}

/**
 * The validity rules of RFC 9420 §12.2, and of §12.4.3.2 for external commits.
 *
 * @param joiner the identity that an external commit brings: it may replace its own leaf and no other (D18)
 */
export function planProposals(
  data: GroupData,
  applied: readonly AppliedProposal[],
  sender: HandshakeSender,
  joiner?: string,
): ProposalPlan | Refused {
  const updates: { leaf: number; node: LeafNode }[] = [];
  const removes: number[] = [];
  const adds: KeyPackage[] = [];
  let extensions = data.context.extensions;
  let replacements = 0;
  let externalInits = 0;
  for (const { proposal, sender: proposer } of applied) {
    switch (proposal.proposalType) {
      case 'update':
        if (proposer.kind !== 'member') return refused('unsupported-proposal', 'an update of nobody');
        updates.push({ leaf: proposer.leaf, node: proposal.update.leafNode });
        break;
      case 'remove':
        removes.push(proposal.remove.removed);
        break;
      case 'add':
        adds.push(proposal.add.keyPackage);
        break;
      case 'group_context_extensions':
        ({ extensions } = proposal.groupContextExtensions);
        replacements += 1;
        break;
      case 'external_init':
        // nobody could open it, so nobody could follow
        if (!isUsableKemKey(proposal.externalInit.kemOutput)) return refused('external-init', 'no usable kem_output');
        externalInits += 1;
        break;
      default:
        return refused('unsupported-proposal', `type ${proposal.proposalType}`);
    }
  }
  const plan: ProposalPlan = {
    applied,
    updates,
    removes,
    adds,
    extensions,
    replacesExtensions: replacements > 0,
    externalInit: externalInits > 0,
  };
  if (replacements > 1) return refused('conflicting-proposals', 'extensions replaced twice');
  return (
    (sender.kind === 'new-member-commit'
      ? externalRefusal(data, plan, externalInits, joiner)
      : memberRefusal(plan, sender)) ??
    leavesRefusal(data, plan) ??
    addsRefusal(data, plan) ??
    keysRefusal(data, plan) ??
    extensionsRefusal(data, plan) ??
    plan
  );
}

function externalRefusal(
  data: GroupData,
  plan: ProposalPlan,
  externalInits: number,
  joiner: string | undefined,
): Refused | undefined {
  if (externalInits !== 1) return refused('external-init', `${externalInits} of them`);
  if (plan.adds.length > 0 || plan.updates.length > 0 || plan.replacesExtensions) {
    return refused('unsupported-proposal', 'not in an external commit');
  }
  const [removed, ...others] = plan.removes;
  if (others.length > 0) return refused('external-remove', 'more than one');
  if (removed === undefined) return undefined;
  const former = memberOf(data, removed);
  if (former === undefined) return refused('unknown-leaf', `leaf ${removed}`);
  return former.identity === joiner ? undefined : refused('external-remove', 'somebody else');
}

function memberRefusal(plan: ProposalPlan, sender: HandshakeSender): Refused | undefined {
  if (sender.kind !== 'member') return refused('unknown-sender', `${sender.kind} cannot commit`);
  if (plan.externalInit) return refused('external-init', 'of a member');
  if (plan.updates.some(({ leaf }) => leaf === sender.leaf)) return refused('update-by-committer');
  if (plan.removes.includes(sender.leaf)) return refused('removes-committer');
  return undefined;
}

function leavesRefusal(data: GroupData, plan: ProposalPlan): Refused | undefined {
  const touched = new Set<number>();
  for (const leaf of [...plan.updates.map((update) => update.leaf), ...plan.removes]) {
    if (leafNodeAt(data, leaf) === undefined) return refused('unknown-leaf', `leaf ${leaf}`);
    if (touched.has(leaf)) return refused('conflicting-proposals', `leaf ${leaf} twice`);
    touched.add(leaf);
  }
  for (const { leaf, node } of plan.updates) {
    const refusal =
      newLeafRefusal(node, 'update', data.context, plan.extensions) ?? successorRefusal(leafNodeAt(data, leaf)!, node);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function addsRefusal(data: GroupData, plan: ProposalPlan): Refused | undefined {
  for (const { leafNode, cipherSuite, version } of plan.adds) {
    if (cipherSuite !== data.context.cipherSuite || version !== data.context.version) {
      return refused('bad-key-package', 'of another suite or version');
    }
    const refusal = newLeafRefusal(leafNode, 'key_package', data.context, plan.extensions);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/**
 * D10 for the leaves that proposals bring. Found here and not only in the finished tree, so that a proposal with
 * somebody else's key is refused by itself, and of two with one key a commit may leave one out. Who is added has no key of a leaf that
 * is replaced in the same commit either: members compare with the tree as it was.
 */
function keysRefusal({ tree }: GroupData, { updates, adds, removes }: ProposalPlan): Refused | undefined {
  const added = adds.map(({ leafNode }) => leafNode);
  const fresh = [...updates.map(({ node }) => node), ...added];
  if (fresh.length === 0) return undefined;
  const gone = new Set([...removes, ...updates.map(({ leaf }) => leaf)].map((leaf) => leaf * 2));
  const clash = clashRefusal(
    fresh,
    tree.nodes.filter((_, index) => !gone.has(index)),
  );
  if (clash !== undefined || added.length === 0 || updates.length === 0) return clash;
  return clashRefusal(
    added,
    updates.map(({ leaf }) => tree.nodes[leaf * 2]),
  );
}

function extensionsRefusal(data: GroupData, plan: ProposalPlan): Refused | undefined {
  if (!plan.replacesExtensions) return undefined;
  if (rolesIn(plan.extensions) === undefined && rolesIn(data.context.extensions) !== undefined) {
    return refused('bad-roles', 'roles cannot be dropped');
  }
  const unsound = contextExtensionsRefusal(plan.extensions);
  if (unsound !== undefined) return unsound;
  // also those that go or change in this commit: members ask the tree as it was
  for (const { leaf } of membersOfTree(data)) {
    if (!supportsGroup(leafNodeAt(data, leaf)!, plan.extensions)) {
      return refused('unsupported-extension', `leaf ${leaf} does not support it`);
    }
  }
  return undefined;
}
