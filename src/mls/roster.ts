import { identityOfCredential } from './config.ts';
import { decodeMessage } from './encoding/decode.ts';
import { decodeTree } from './encoding/tree-codec.ts';
import type { CommitSummary, LeafSummary } from './handshake.ts';

/** Who sits at which leaf; `null` where nobody does; never ends in `null`. */
export type Roster = readonly (LeafSummary | null)[];

export type FoldedRoster =
  | {
      readonly kind: 'folded';
      readonly roster: Roster;
      /** The leaf of the committer; of an external joiner, its new one. */
      readonly committer: number;
      readonly added: readonly ({ readonly leaf: number } & LeafSummary)[];
      readonly removed: readonly ({ readonly leaf: number } & LeafSummary)[];
    }
  /** The commit cannot be one of this group: it names a leaf where nobody sits, or the same leaf twice. */
  | { readonly kind: 'impossible'; readonly reason: string };

/**
 * The roster after a commit, in the order of RFC 9420 §12.4.2: updates, removes, then adds, each at the leftmost blank
 * leaf (§7.7); the leaf of the update path last. An external joiner takes the leftmost blank leaf after the removes
 * (§12.4.3.2).
 */
export function foldRoster(roster: Roster, commit: CommitSummary): FoldedRoster {
  const leaves = [...roster];
  const impossible = (reason: string): FoldedRoster => ({ kind: 'impossible', reason });
  const at = (leaf: number): LeafSummary | null => leaves[leaf] ?? null;
  const { sender } = commit;
  if (sender.kind === 'member' && at(sender.leaf) === null) return impossible(`no member at leaf ${sender.leaf}`);

  for (const { leaf, identity, signatureKey } of commit.updates) {
    if (at(leaf) === null) return impossible(`update of blank leaf ${leaf}`);
    leaves[leaf] = { identity, signatureKey };
  }
  const removed: ({ leaf: number } & LeafSummary)[] = [];
  for (const leaf of commit.removes) {
    const who = at(leaf);
    if (who === null) return impossible(`remove of blank leaf ${leaf}`);
    removed.push({ leaf, ...who });
    leaves[leaf] = null;
  }
  while (leaves.length > 0 && leaves.at(-1) === null) leaves.pop();

  const added: ({ leaf: number } & LeafSummary)[] = [];
  const place = ({ identity, signatureKey }: LeafSummary): number => {
    const blank = leaves.indexOf(null);
    const leaf = blank === -1 ? leaves.length : blank;
    leaves[leaf] = { identity, signatureKey };
    added.push({ leaf, identity, signatureKey });
    return leaf;
  };
  for (const add of commit.adds) place(add);

  switch (sender.kind) {
    case 'member':
      if (removed.some(({ leaf }) => leaf === sender.leaf)) return impossible('a committer cannot remove itself');
      if (commit.committer !== undefined) leaves[sender.leaf] = commit.committer;
      return { kind: 'folded', roster: leaves, committer: sender.leaf, added, removed };
    case 'new-member-commit': {
      if (commit.committer === undefined) return impossible('an external commit without a path');
      const committer = place(commit.committer);
      return { kind: 'folded', roster: leaves, committer, added, removed };
    }
    case 'external':
    case 'new-member-proposal':
      return impossible(`${sender.kind} cannot commit`);
    default:
      return sender satisfies never;
  }
}

/** The roster that the ratchet tree in a GroupInfo states; `undefined` when there is no readable tree in it. */
export function rosterOfGroupInfo(groupInfo: Uint8Array): Roster | undefined {
  const decoded = decodeMessage(groupInfo);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') return undefined;
  const { extensions } = decoded.message.groupInfo;
  const bytes = extensions.find((extension) => extension.extensionType === 'ratchet_tree')?.extensionData;
  const read = bytes === undefined ? undefined : decodeTree(bytes);
  if (read === undefined || 'malformed' in read) return undefined;
  const leaves = read.tree
    .filter((_, index) => index % 2 === 0)
    .map((node) => {
      if (node === undefined || node.nodeType !== 'leaf') return null;
      return {
        identity: identityOfCredential(node.leaf.credential) ?? '',
        signatureKey: node.leaf.signaturePublicKey.slice(),
      };
    });
  while (leaves.length > 0 && leaves.at(-1) === null) leaves.pop();
  return leaves;
}
