import type { Extension, GroupContext } from 'ts-mls';
import { extensionTypeToNumber } from 'ts-mls/extension.js';
import { encodeLeafNode, type LeafNode } from 'ts-mls/leafNode.js';
import { equalBytes } from '../../wire/bytes.ts';
import { identityOfCredential } from '../config.ts';
import { isUsableKemKey } from '../encoding/kem-key.ts';
import { firstClash } from '../encoding/uniques.ts';
import { PUBLIC_KEY_BYTES } from '../suite.ts';
import { requiredIn } from './context-extensions.ts';
import type { HashedTree } from './hashed-tree.ts';
import { type Refused, refused } from './refusal.ts';

/** As large as the leaf of a key package can be: every member keeps it, and each newcomer loads it (D13). */
const LEAF_MAX_BYTES = 4096;

/**
 * What a leaf must be that a commit brings: all of {@link leafRefusal}, of bounded size, with a key that others can seal to, and able to
 * do what the group asked for until now as well, for members hold it against that.
 *
 * @param extensions of the epoch that the commit begins
 */
export function newLeafRefusal(
  leaf: LeafNode,
  source: LeafNode['leafNodeSource'],
  context: GroupContext,
  extensions: readonly Extension[],
): Refused | undefined {
  if (encodeLeafNode(leaf).length > LEAF_MAX_BYTES) return refused('bad-leaf', `longer than ${LEAF_MAX_BYTES} bytes`);
  if (!isUsableKemKey(leaf.hpkePublicKey)) return refused('bad-leaf', 'a key that nobody can seal to');
  const refusal = leafRefusal(leaf, source, context.cipherSuite, extensions);
  if (refusal !== undefined || extensions === context.extensions) return refusal;
  return supportsGroup(leaf, context.extensions)
    ? undefined
    : refused('unsupported-extension', 'a leaf that does not support the group as it was');
}

/** What a leaf must be able to do in a group with these extensions (RFC 9420 §7.3). */
export function leafRefusal(
  leaf: LeafNode,
  source: LeafNode['leafNodeSource'],
  suiteName: string,
  groupExtensions: readonly Extension[],
): Refused | undefined {
  const { capabilities, credential, extensions } = leaf;
  if (leaf.leafNodeSource !== source) return refused('bad-leaf', 'another source');
  if (identityOfCredential(credential) === undefined) return refused('bad-leaf', 'no basic credential');
  if ([leaf.hpkePublicKey, leaf.signaturePublicKey].some((key) => key.length !== PUBLIC_KEY_BYTES)) {
    return refused('bad-leaf', 'a key of another length');
  }
  const isCapable =
    capabilities.versions.includes('mls10') &&
    capabilities.ciphersuites.some((name) => name === suiteName) &&
    capabilities.credentials.includes(credential.credentialType);
  if (!isCapable) return refused('bad-leaf', 'does not list its own version, suite or credential type');
  const types = extensions.map((extension) => extension.extensionType);
  if (new Set(types).size !== types.length) return refused('bad-leaf', 'an extension twice');
  if (!supports(leaf, extensions)) return refused('bad-leaf', 'an extension that it does not list');
  return supportsGroup(leaf, groupExtensions)
    ? undefined
    : refused('unsupported-extension', 'a leaf that does not support the group');
}

/** Whether a leaf supports every extension of the group and what `required_capabilities` asks (§11.1, §13.3). */
export function supportsGroup(leaf: LeafNode, groupExtensions: readonly Extension[]): boolean {
  if (!supports(leaf, groupExtensions)) return false;
  const required = requiredIn(groupExtensions);
  if (required === undefined) return true;
  if (required === 'malformed') return false;
  const { extensionTypes, proposalTypes, credentialTypes } = required;
  const { capabilities } = leaf;
  return (
    extensionTypes.every((type) => capabilities.extensions.includes(type)) &&
    proposalTypes.every((type) => capabilities.proposals.includes(type)) &&
    credentialTypes.every((type) => capabilities.credentials.includes(type))
  );
}

/** Types of RFC 9420 need not be listed (§7.2). */
function supports(leaf: LeafNode, extensions: readonly Extension[]): boolean {
  return extensions.every(
    ({ extensionType }) =>
      typeof extensionType === 'string' || leaf.capabilities.extensions.includes(extensionTypeToNumber(extensionType)),
  );
}

/** One identity a leaf for its whole life; new encryption keys with every new leaf (§7.3, §12.4.2). */
export function successorRefusal(before: LeafNode, after: LeafNode): Refused | undefined {
  if (identityOfCredential(before.credential) !== identityOfCredential(after.credential)) {
    return refused('identity-changed');
  }
  return equalBytes(before.hpkePublicKey, after.hpkePublicKey) ? refused('key-not-new') : undefined;
}

/**
 * D10: no signature key, encryption key or identity stands twice in a tree. Only what the commit put there is looked
 * for, in one pass over the tree.
 *
 * @param before nothing when the whole tree is new
 */
export function uniquenessRefusal(before: HashedTree | undefined, after: HashedTree): Refused | undefined {
  const old = before?.nodes ?? [];
  const { nodes } = after;
  const fresh = nodes.filter((node, index) => node !== undefined && node !== old[index]) as LeafOrParent[];
  // what is new is compared with itself already: leave it out of the rest
  const unchanged = nodes.map((node, index) => (node === old[index] ? node : undefined));
  const clash = firstClash(fresh, unchanged);
  return clash === undefined ? undefined : refused('duplicate-key', clash);
}

type LeafOrParent = NonNullable<HashedTree['nodes'][number]>;

/** The same for leaves that are to come into a tree; `present` is the tree without what goes for them. */
export function clashRefusal(fresh: readonly LeafNode[], present: HashedTree['nodes']): Refused | undefined {
  const clash = firstClash(asNodes(fresh), present);
  if (clash === undefined) return undefined;
  return clash === 'identity' ? refused('already-member') : refused('duplicate-key', clash);
}

export function asNodes(leaves: readonly LeafNode[]): LeafOrParent[] {
  return leaves.map((leaf) => ({ nodeType: 'leaf', leaf }) as const);
}
