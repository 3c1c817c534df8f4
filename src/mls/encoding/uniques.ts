import type { RatchetTree } from 'ts-mls';
import { equalBytes } from '../../wire/bytes.ts';

type Node = NonNullable<RatchetTree[number]>;
/** What no two places of a tree may share (D10). */
export type UniqueKind = 'identity' | 'encryption key' | 'signature key';

/**
 * What two of the new nodes share, or a new one with an old one; `undefined` when they share nothing. One pass over the
 * old ones without allocating: nearly all differ in the last four bytes, which are looked up first.
 */
export function firstClash(fresh: readonly Node[], old: Iterable<Node | undefined>): UniqueKind | undefined {
  const byEnd = new Map<number, { readonly kind: UniqueKind; readonly bytes: Uint8Array }[]>();
  const isKnown = (kind: UniqueKind, bytes: Uint8Array): boolean => {
    return byEnd.get(endOf(bytes))?.some((other) => other.kind === kind && equalBytes(other.bytes, bytes)) ?? false;
  };
  const remember = (kind: UniqueKind, bytes: Uint8Array): boolean => {
    if (isKnown(kind, bytes)) return true;
    const same = byEnd.get(endOf(bytes));
    if (same === undefined) byEnd.set(endOf(bytes), [{ kind, bytes }]);
    else same.push({ kind, bytes });
    return false;
  };
  for (const node of fresh) {
    const clash = findUnique(node, remember);
    if (clash !== undefined) return clash;
  }
  for (const node of old) {
    const clash = node === undefined ? undefined : findUnique(node, isKnown);
    if (clash !== undefined) return clash;
  }
  return undefined;
}

function findUnique(node: Node, test: (kind: UniqueKind, bytes: Uint8Array) => boolean): UniqueKind | undefined {
  if (node.nodeType === 'parent')
    return test('encryption key', node.parent.hpkePublicKey) ? 'encryption key' : undefined;
  const { hpkePublicKey, signaturePublicKey, credential } = node.leaf;
  if (credential.credentialType === 'basic' && test('identity', credential.identity)) return 'identity';
  if (test('encryption key', hpkePublicKey)) return 'encryption key';
  return test('signature key', signaturePublicKey) ? 'signature key' : undefined;
}

function endOf(bytes: Uint8Array): number {
  const { length } = bytes;
  if (length < 4) return length;
  return (bytes[length - 4]! << 24) | (bytes[length - 3]! << 16) | (bytes[length - 2]! << 8) | bytes[length - 1]!;
}
