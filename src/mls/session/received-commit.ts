import type { ClientState, FramedContent, IncomingMessageCallback, Proposal, ProposalWithSender } from 'ts-mls';
import { toBase64 } from '../../wire/bytes.ts';
import { identityOfCredential } from '../config.ts';
import { firstClash } from '../encoding/uniques.ts';
import { rolesIn } from '../framing.ts';
import type { GroupRoles } from '../roles.ts';
import { joinOverreach, type Overreach, orphanage, overreachOf } from './overreach.ts';
import { type Member, memberAt } from './state.ts';

/** What a commit did to the group. */
export interface CommitReport {
  /** The new epoch. */
  readonly epoch: number;
  readonly committer: { readonly leaf: number; readonly identity: string; readonly external: boolean };
  /** Ascending by leaf; an external joiner included. */
  readonly added: readonly Member[];
  /** Ascending by leaf, as they were. */
  readonly removed: readonly Member[];
  /** Members with new keys, the committer included when it gave itself new ones. */
  readonly updated: readonly { readonly leaf: number; readonly identity: string }[];
  /** The roles from now on, when the commit replaced the group's extensions. */
  readonly roles?: GroupRoles;
  /** What in it the roles did not allow; the commit counts all the same. */
  readonly overreach: readonly Overreach[];
  /** Whether we are out of the group; `epoch` is then one that we cannot read. */
  readonly selfRemoved: boolean;
}

type Incoming = Parameters<IncomingMessageCallback>[0];
type RatchetTree = ClientState['ratchetTree'];

/**
 * Looks at what the library is about to apply, and stops what our clients do not do: the library would suspend the
 * group for a ReInit, and takes any unknown proposal.
 *
 * @param content what is known of the framing; a PrivateMessage's is inside and comes from a member in any case
 */
export function inspectIncoming(state: ClientState, content: FramedContent | undefined) {
  let seen: Incoming | undefined;
  let refusal: { readonly code: 'unsupported-proposal' | 'invalid-commit'; readonly reason: string } | undefined;
  const callback: IncomingMessageCallback = (incoming) => {
    seen = incoming;
    if (incoming.kind === 'proposal') refusal = unsupported([incoming.proposal.proposal], false);
    else {
      const external = incoming.senderLeafIndex === undefined;
      const proposals = incoming.proposals.map((pending) => pending.proposal);
      refusal =
        unsupported(proposals, external) ?? (external ? badExternalCommit(state, content, proposals) : undefined);
    }
    return refusal === undefined ? 'accept' : 'reject';
  };
  return { callback, seen: () => seen, refusal: () => refusal };
}

function unsupported(proposals: readonly Proposal[], external: boolean) {
  for (const { proposalType } of proposals) {
    switch (proposalType) {
      case 'add':
      case 'update':
      case 'remove':
      case 'group_context_extensions':
        continue;
      case 'external_init':
        if (external) continue;
        break;
      default:
        break;
    }
    return { code: 'unsupported-proposal', reason: `proposal of type ${proposalType}` } as const;
  }
  return undefined;
}

/** RFC 9420 §12.4.3.2, and D18: whoever joins by external commit may replace its own old leaf and no other. */
function badExternalCommit(state: ClientState, content: FramedContent | undefined, proposals: readonly Proposal[]) {
  const invalid = (reason: string) => ({ code: 'invalid-commit', reason }) as const;
  if (content?.contentType !== 'commit' || content.commit.path === undefined) return invalid('no path');
  if (content.commit.proposals.some((item) => item.proposalOrRefType === 'reference')) {
    return invalid('an external commit that refers to proposals');
  }
  const joiner = identityOfCredential(content.commit.path.leafNode.credential);
  for (const proposal of proposals) {
    if (proposal.proposalType !== 'remove') continue;
    const removed = memberAt(state.ratchetTree, proposal.remove.removed);
    if (removed?.identity !== joiner) return invalid('an external commit that removes somebody else');
  }
  return undefined;
}

/** What an accepted commit changed, or why it should not have been accepted. */
export function reportCommit(
  before: ClientState,
  after: ClientState,
  commit: Extract<Incoming, { kind: 'commit' }>,
): CommitReport | { readonly invalid: string } {
  const removedLeaves = removesIn(commit.proposals);
  const change = diffTrees(before.ratchetTree, after.ratchetTree, removedLeaves);
  const invalid = badChange(before.ratchetTree, after.ratchetTree, change);
  if (invalid !== undefined) return { invalid };
  const external = commit.senderLeafIndex === undefined;
  // an external commit adds its committer and nobody else
  const leaf = commit.senderLeafIndex ?? change.added[0]?.leaf;
  const committer = leaf === undefined ? undefined : memberAt(after.ratchetTree, leaf);
  if (committer === undefined) return { invalid: 'a commit of nobody' };
  const { identity } = committer;
  return {
    epoch: Number(after.groupContext.epoch),
    committer: { leaf: committer.leaf, identity, external },
    ...change,
    ...newRoles(commit.proposals),
    overreach: [
      ...(external ? joinOverreach(before, identity) : overreachOf(before, commit.senderLeafIndex, commit.proposals)),
      ...orphanage(after),
    ],
    selfRemoved: false,
  };
}

/**
 * A commit that removes us, by the proposals in it. The library only notices when our leaf is blank afterwards, but
 * an Add in the same commit, or the external joiner who replaces us, may sit on it.
 */
export async function reportOwnRemoval(
  state: ClientState,
  content: FramedContent,
): Promise<CommitReport | { readonly invalid: string } | undefined> {
  if (content.contentType !== 'commit') return undefined;
  const proposals: ProposalWithSender[] = content.commit.proposals.flatMap((item) => {
    if (item.proposalOrRefType === 'proposal') return [{ proposal: item.proposal, senderLeafIndex: undefined }];
    const pending = state.unappliedProposals[toBase64(item.reference)];
    return pending === undefined ? [] : [pending];
  });
  const leaves = removesIn(proposals);
  if (!leaves.has(state.privatePath.leafIndex)) return undefined;
  const { sender } = content;
  const external = sender.senderType !== 'member';
  const invalid = external ? await badReplacement(state, content) : undefined;
  if (invalid !== undefined) return { invalid };
  const identity = external
    ? identityOfCredential(content.commit.path?.leafNode.credential ?? NOBODY)
    : memberAt(state.ratchetTree, sender.leafIndex)?.identity;
  return {
    epoch: Number(state.groupContext.epoch) + 1,
    committer: { leaf: external ? -1 : sender.leafIndex, identity: identity ?? '', external },
    added: [],
    removed: [...leaves].sort((a, b) => a - b).flatMap((leaf) => memberAt(state.ratchetTree, leaf) ?? []),
    updated: [],
    ...newRoles(proposals),
    overreach: external ? [] : overreachOf(state, sender.leafIndex, proposals),
    selfRemoved: true,
  };
}

/** The same for a commit that was private, of which the library told what is in it. It always comes from a member. */
export function ownRemovalIn(
  state: ClientState,
  commit: Extract<Incoming, { kind: 'commit' }>,
): CommitReport | undefined {
  const { proposals, senderLeafIndex } = commit;
  const leaves = removesIn(proposals);
  if (senderLeafIndex === undefined || !leaves.has(state.privatePath.leafIndex)) return undefined;
  const identity = memberAt(state.ratchetTree, senderLeafIndex)?.identity ?? '';
  return {
    epoch: Number(state.groupContext.epoch) + 1,
    committer: { leaf: senderLeafIndex, identity, external: false },
    added: [],
    removed: [...leaves].sort((a, b) => a - b).flatMap((leaf) => memberAt(state.ratchetTree, leaf) ?? []),
    updated: [],
    ...newRoles(proposals),
    overreach: overreachOf(state, senderLeafIndex, proposals),
    selfRemoved: true,
  };
}

/**
 * An external commit proves its own key and nothing else, and we cannot follow it into its epoch: whoever takes our
 * leaf has to be ourselves, under a key that is known to be ours.
 */
async function badReplacement(state: ClientState, content: FramedContent): Promise<string | undefined> {
  if (content.contentType !== 'commit' || content.commit.path === undefined) return 'no path';
  if (content.sender.senderType !== 'new_member_commit') return 'a commit of nobody';
  const proposals = content.commit.proposals.flatMap((item) =>
    item.proposalOrRefType === 'proposal' ? [item.proposal] : [],
  );
  const refusal = unsupported(proposals, true) ?? badExternalCommit(state, content, proposals);
  if (refusal !== undefined) return refusal.reason;
  const { credential, signaturePublicKey } = content.commit.path.leafNode;
  const isKnown = await state.clientConfig.authService.validateCredential(credential, signaturePublicKey);
  return isKnown ? undefined : 'the credential of the new leaf is refused';
}

const NOBODY = { credentialType: 'basic', identity: new Uint8Array(0) } as const;

function removesIn(proposals: readonly { readonly proposal: Proposal }[]): ReadonlySet<number> {
  return new Set(
    proposals.flatMap(({ proposal }) => (proposal.proposalType === 'remove' ? [proposal.remove.removed] : [])),
  );
}

function newRoles(proposals: readonly { readonly proposal: Proposal }[]): { roles?: GroupRoles } {
  for (const { proposal } of proposals) {
    if (proposal.proposalType !== 'group_context_extensions') continue;
    const roles = rolesIn(proposal.groupContextExtensions.extensions);
    return roles === undefined ? {} : { roles };
  }
  return {};
}

interface TreeChange {
  readonly added: Member[];
  readonly removed: Member[];
  readonly updated: { leaf: number; identity: string }[];
}

function diffTrees(before: RatchetTree, after: RatchetTree, removedLeaves: ReadonlySet<number>): TreeChange {
  const change: TreeChange = { added: [], removed: [], updated: [] };
  for (let leaf = 0; leaf * 2 < Math.max(before.length, after.length); leaf += 1) {
    if (before[leaf * 2] === after[leaf * 2]) continue; // the library shares nodes that it does not change
    const was = memberAt(before, leaf);
    const is = memberAt(after, leaf);
    const isRemoved = was !== undefined && removedLeaves.has(leaf);
    if (isRemoved) change.removed.push(was);
    if (is === undefined) continue;
    if (was === undefined || isRemoved) change.added.push(is);
    else change.updated.push({ leaf, identity: is.identity });
  }
  return change;
}

/** Rules about leaves that the library does not check: one identity a leaf for life, no key twice (D10). */
function badChange(before: RatchetTree, after: RatchetTree, change: TreeChange): string | undefined {
  for (const { leaf, identity } of change.updated) {
    if (memberAt(before, leaf)?.identity !== identity) return `leaf ${leaf} became somebody else`;
  }
  const changed = new Set([...change.added, ...change.updated].map(({ leaf }) => leaf * 2));
  const clash = firstClash(
    after.filter((node, index) => node !== undefined && changed.has(index)) as NonNullable<RatchetTree[number]>[],
    after.map((node, index) => (changed.has(index) ? undefined : node)),
  );
  return clash === undefined ? undefined : `the same ${clash} twice`;
}
