import type { GroupContext, MlsPublicMessage } from 'ts-mls';
import type { LeafNode } from 'ts-mls/leafNode.js';
import { identityOfCredential } from '../config.ts';
import { encodeTree } from '../encoding/tree-codec.ts';
import { rolesIn } from '../framing.ts';
import type { KnownProposal } from '../handshake.ts';
import type { GroupRoles } from '../roles.ts';
import type { Roster } from '../roster.ts';
import type { HashedTree } from './hashed-tree.ts';

declare const publicGroup: unique symbol;
/**
 * What everybody can know about a group in one epoch: tree, context and the proposals that wait. No secrets. A value:
 * each operation gives a new one.
 */
export interface PublicGroup {
  readonly [publicGroup]: 'PublicGroup';
}

export function publicGroupIdOf(group: PublicGroup): Uint8Array {
  return reveal(group).context.groupId.slice();
}

export function publicEpochOf(group: PublicGroup): number {
  return Number(reveal(group).context.epoch);
}

export function publicTreeHashOf(group: PublicGroup): Uint8Array {
  return reveal(group).context.treeHash.slice();
}

export function publicTranscriptHashOf(group: PublicGroup): Uint8Array {
  return reveal(group).context.confirmedTranscriptHash.slice();
}

/** `undefined` for a group without roles, or with ones that are not well formed. */
export function publicRolesOf(group: PublicGroup): GroupRoles | undefined {
  return rolesIn(reveal(group).context.extensions);
}

export function publicRosterOf(group: PublicGroup): Roster {
  const { nodes } = reveal(group).tree;
  const roster: ({ identity: string; signatureKey: Uint8Array } | null)[] = [];
  for (let leaf = 0; leaf * 2 < nodes.length; leaf += 1) {
    const member = memberOf(reveal(group), leaf);
    roster.push(member === undefined ? null : { identity: member.identity, signatureKey: member.signatureKey.slice() });
  }
  while (roster.length > 0 && roster.at(-1) === null) roster.pop();
  return roster;
}

/** In the order in which they came. */
export function publicPendingOf(group: PublicGroup): readonly KnownProposal[] {
  return reveal(group).pending.map(({ ref, sender, proposal }) => ({ ref, sender, proposal }));
}

/** As a `ratchet_tree` extension carries it: what is served to new members. */
export function publicTreeBytesOf(group: PublicGroup): Uint8Array {
  return encodeTree(reveal(group).tree.nodes);
}

// ─── for the operations in this folder ───

export interface PendingProposal extends KnownProposal {
  readonly message: MlsPublicMessage['publicMessage'];
  /** As received. */
  readonly bytes: Uint8Array;
}

export interface GroupData {
  readonly context: GroupContext;
  /** Of the commit that made this epoch; the next transcript hash is made from it. */
  readonly confirmationTag: Uint8Array;
  readonly tree: HashedTree;
  readonly pending: readonly PendingProposal[];
}

export function reveal(group: PublicGroup): GroupData {
  return group as unknown as GroupData;
}

export function conceal(data: GroupData): PublicGroup {
  return data as unknown as PublicGroup;
}

export function leafNodeAt(data: Pick<GroupData, 'tree'>, leaf: number) {
  const node = data.tree.nodes[leaf * 2];
  return node?.nodeType === 'leaf' ? node.leaf : undefined;
}

export function memberOf(data: Pick<GroupData, 'tree'>, leaf: number) {
  const node = leafNodeAt(data, leaf);
  if (node === undefined) return undefined;
  return { leaf, identity: identityOfLeaf(node), signatureKey: node.signaturePublicKey };
}

/** Reading the text of 2,000 credentials costs more than the rest of a commit, and leaves never change in place. */
const identities = new WeakMap<LeafNode, string>();

function identityOfLeaf(leaf: LeafNode): string {
  const known = identities.get(leaf);
  if (known !== undefined) return known;
  const identity = identityOfCredential(leaf.credential) ?? '';
  identities.set(leaf, identity);
  return identity;
}

export function membersOfTree(data: Pick<GroupData, 'tree'>) {
  const members: { leaf: number; identity: string; signatureKey: Uint8Array }[] = [];
  for (let leaf = 0; leaf * 2 < data.tree.nodes.length; leaf += 1) {
    const member = memberOf(data, leaf);
    if (member !== undefined) members.push(member);
  }
  return members;
}

export function memberCount({ tree }: Pick<GroupData, 'tree'>): number {
  return tree.nodes.reduce((count, node) => (node?.nodeType === 'leaf' ? count + 1 : count), 0);
}
