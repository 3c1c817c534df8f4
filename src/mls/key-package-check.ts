import type { KeyPackage } from 'ts-mls';
import { extensionTypeToNumber } from 'ts-mls/extension.js';
import { makeKeyPackageRef, verifyKeyPackage } from 'ts-mls/keyPackage.js';
import { verifyLeafNodeSignatureKeyPackage } from 'ts-mls/leafNode.js';
import { equalBytes } from '../wire/bytes.ts';
import { identityOfCredential, ROLES_CAPABLE } from './config.ts';
import { decodeMessage } from './encoding/decode.ts';
import { isUsableKemKey } from './encoding/kem-key.ts';
import { isLastResort } from './framing.ts';
import { PUBLIC_KEY_BYTES, type Suite } from './suite.ts';

/** Longer than any key package of the classic suites; one of ML-DSA would need another limit. */
const KEY_PACKAGE_MAX_BYTES = 4096;

/** Why a package is refused. */
export type KeyPackageRefusal =
  | 'malformed'
  | 'wrong-suite'
  | 'wrong-source'
  | 'not-yet-valid'
  | 'expired'
  | 'lifetime-too-long'
  | 'bad-credential'
  | 'wrong-identity'
  | 'unknown-signature-key'
  | 'bad-key'
  | 'same-init-and-encryption-key'
  | 'missing-capability'
  | 'unknown-extension'
  | 'bad-signature';

export type KeyPackageCheck =
  | {
      readonly kind: 'ok';
      /** KeyPackageRef, RFC 9420 §5.2. */
      readonly ref: Uint8Array;
      readonly identity: string;
      readonly signatureKey: Uint8Array;
      readonly encryptionKey: Uint8Array;
      readonly lastResort: boolean;
      /** ms. */
      readonly notBefore: number;
      /** ms. */
      readonly notAfter: number;
    }
  | { readonly kind: 'refused'; readonly reason: KeyPackageRefusal };

export interface KeyPackageExpectations {
  /** ms. */
  readonly now: number;
  /** The credential must be this identity. */
  readonly expectedIdentity?: string;
  /** The leaf's signature key must be one of these: those that the device registered. */
  readonly allowedSignatureKeys?: readonly Uint8Array[];
  /** The longest life a package may have, from its own beginning to its own end, in ms. */
  readonly maxLifetimeMs: number;
}

/**
 * Everything about a key package that can be judged without the group it is for (RFC 9420 §7.3, §10.1), and what the
 * library leaves out: that it accepts a life of 10^11 years and a package that does not list its own suite. Cheap
 * tests come first; the two signatures come last. Never throws.
 */
export async function checkKeyPackage(
  suite: Suite,
  bytes: Uint8Array,
  expectations: KeyPackageExpectations,
): Promise<KeyPackageCheck> {
  const decoded = decodeMessage(bytes, KEY_PACKAGE_MAX_BYTES);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') return refused('malformed');
  return checkDecodedKeyPackage(suite, decoded.message.keyPackage, expectations);
}

/** The same for a package that was decoded as part of a proposal. */
export async function checkDecodedKeyPackage(
  suite: Suite,
  keyPackage: KeyPackage,
  expectations: KeyPackageExpectations,
): Promise<KeyPackageCheck> {
  const reason = refusalOf(suite, keyPackage, expectations);
  if (reason !== undefined) return refused(reason);
  if (!(await areSignaturesValid(suite, keyPackage))) return refused('bad-signature');
  const { leafNode } = keyPackage;
  const { notBefore, notAfter } = lifetimeOf(keyPackage);
  return {
    kind: 'ok',
    ref: await makeKeyPackageRef(keyPackage, suite.hash),
    identity: identityOfCredential(leafNode.credential)!,
    signatureKey: leafNode.signaturePublicKey,
    encryptionKey: leafNode.hpkePublicKey,
    lastResort: isLastResort(keyPackage),
    notBefore: Number(notBefore) * 1000,
    notAfter: Number(notAfter) * 1000,
  };
}

function refused(reason: KeyPackageRefusal): KeyPackageCheck {
  return { kind: 'refused', reason };
}

function refusalOf(
  suite: Suite,
  keyPackage: KeyPackage,
  expected: KeyPackageExpectations,
): KeyPackageRefusal | undefined {
  const { leafNode } = keyPackage;
  if (keyPackage.version !== 'mls10' || keyPackage.cipherSuite !== suite.name) return 'wrong-suite';
  if (leafNode.leafNodeSource !== 'key_package') return 'wrong-source';
  return (
    lifetimeRefusal(keyPackage, expected) ?? credentialRefusal(keyPackage, expected) ?? shapeRefusal(suite, keyPackage)
  );
}

function lifetimeOf(keyPackage: KeyPackage): { notBefore: bigint; notAfter: bigint } {
  return keyPackage.leafNode.lifetime;
}

function lifetimeRefusal(keyPackage: KeyPackage, expected: KeyPackageExpectations): KeyPackageRefusal | undefined {
  const { notBefore, notAfter } = lifetimeOf(keyPackage);
  const now = BigInt(Math.floor(expected.now / 1000));
  if (notBefore > now) return 'not-yet-valid';
  if (notAfter < now) return 'expired';
  if ((notAfter - notBefore) * 1000n > BigInt(expected.maxLifetimeMs)) return 'lifetime-too-long';
  return undefined;
}

function credentialRefusal(keyPackage: KeyPackage, expected: KeyPackageExpectations): KeyPackageRefusal | undefined {
  const { credential, signaturePublicKey } = keyPackage.leafNode;
  const identity = identityOfCredential(credential);
  if (identity === undefined) return 'bad-credential';
  if (expected.expectedIdentity !== undefined && identity !== expected.expectedIdentity) return 'wrong-identity';
  const { allowedSignatureKeys: allowed } = expected;
  if (allowed !== undefined && !allowed.some((key) => equalBytes(key, signaturePublicKey)))
    return 'unknown-signature-key';
  return undefined;
}

function shapeRefusal(suite: Suite, keyPackage: KeyPackage): KeyPackageRefusal | undefined {
  const { leafNode, initKey } = keyPackage;
  const { capabilities, extensions, hpkePublicKey, signaturePublicKey } = leafNode;
  if (![initKey, hpkePublicKey].every(isUsableKemKey) || signaturePublicKey.length !== PUBLIC_KEY_BYTES)
    return 'bad-key';
  if (equalBytes(initKey, hpkePublicKey)) return 'same-init-and-encryption-key';
  const isCapable =
    capabilities.versions.includes('mls10') &&
    capabilities.ciphersuites.includes(suite.name) &&
    capabilities.credentials.includes(leafNode.credential.credentialType) &&
    ROLES_CAPABLE.every((type) => capabilities.extensions.includes(type));
  if (!isCapable) return 'missing-capability';
  const types = extensions.map((extension) => extension.extensionType);
  const isListed = types.every(
    (type) => typeof type === 'string' || capabilities.extensions.includes(extensionTypeToNumber(type)),
  );
  if (!isListed || new Set(types).size !== types.length) return 'unknown-extension';
  return undefined;
}

async function areSignaturesValid(suite: Suite, keyPackage: KeyPackage): Promise<boolean> {
  try {
    return (
      (await verifyLeafNodeSignatureKeyPackage(keyPackage.leafNode, suite.signature)) &&
      (await verifyKeyPackage(keyPackage, suite.signature))
    );
  } catch {
    return false; // a key or a signature that the suite cannot even read
  }
}
