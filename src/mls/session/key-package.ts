import { encodeMlsMessage, generateKeyPackageWithKey, type KeyPackage, type PrivateKeyPackage } from 'ts-mls';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { toUtf8 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { BACKDATE_MS, KEY_PACKAGE_LIFETIME_MAX_MS, LAST_RESORT_EXTENSION, ownCapabilities } from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { MlsError } from '../errors.ts';
import { type Suite, suiteNameOf } from '../suite.ts';

/** A key pair for MLS signatures: never the device key itself. `signPrivate` is an Ed25519 seed in PKCS#8. */
export interface SignatureKeys {
  readonly signPrivate: Uint8Array;
  readonly signPublic: Uint8Array;
}

export interface NewKeyPackage {
  /** KeyPackageRef, RFC 9420 §5.2: what a Welcome names it by. */
  readonly ref: Uint8Array;
  /** MLSMessage with wire format mls_key_package. */
  readonly bytes: Uint8Array;
  /** The secrets, to be kept until the package is used up; only {@link KeyPackagePair} reads them. */
  readonly privateBytes: Uint8Array;
  readonly lastResort: boolean;
  /** ms; whole seconds. */
  readonly notAfter: number;
}

/** A key package as it was made, with its secrets. */
export interface KeyPackagePair {
  readonly bytes: Uint8Array;
  readonly privateBytes: Uint8Array;
}

export interface KeyPackageOptions {
  /** Text of the basic credential. */
  readonly identity: string;
  readonly keys: SignatureKeys;
  /** ms. */
  readonly now: number;
  /** How long from `now` the package may be used, at most 90 days less the hour it is dated back. */
  readonly lifetimeMs: number;
  /** Whether it may be handed out again and again when nothing else is left. */
  readonly lastResort: boolean;
}

export async function generateSignatureKeys(suite: Suite): Promise<SignatureKeys> {
  const { signKey, publicKey } = await suite.signature.keygen();
  return { signPrivate: signKey, signPublic: publicKey };
}

/**
 * A new key package with an explicit lifetime and explicit capabilities.
 *
 * @throws MlsError `invalid-argument` when the lifetime is not positive or longer than allowed
 */
export async function createKeyPackage(suite: Suite, options: KeyPackageOptions): Promise<NewKeyPackage> {
  const { publicPackage, privatePackage, notAfter } = await generatePackage(suite, options);
  return {
    ref: await makeKeyPackageRef(publicPackage, suite.hash),
    bytes: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage: publicPackage }),
    privateBytes: encodePrivate(privatePackage),
    lastResort: options.lastResort,
    notAfter,
  };
}

// ─── for the operations in this folder ───

export async function generatePackage(
  suite: Suite,
  options: KeyPackageOptions,
): Promise<{ publicPackage: KeyPackage; privatePackage: PrivateKeyPackage; notAfter: number }> {
  const { identity, keys, now, lifetimeMs, lastResort } = options;
  if (!(lifetimeMs > 0) || lifetimeMs > KEY_PACKAGE_LIFETIME_MAX_MS - BACKDATE_MS) {
    throw new MlsError('invalid-argument', `a key package cannot live ${lifetimeMs} ms`);
  }
  const notBefore = Math.floor((now - BACKDATE_MS) / 1000);
  const notAfter = Math.floor((now + lifetimeMs) / 1000);
  const generated = await generateKeyPackageWithKey(
    { credentialType: 'basic', identity: toUtf8(identity) },
    ownCapabilities(suiteNameOf(suite)),
    { notBefore: BigInt(notBefore), notAfter: BigInt(notAfter) },
    lastResort ? [{ extensionType: LAST_RESORT_EXTENSION, extensionData: new Uint8Array(0) }] : [],
    // copies: the package keeps these buffers, and callers may zero theirs
    { signKey: keys.signPrivate.slice(), publicKey: keys.signPublic.slice() },
    suite,
  );
  return { ...generated, notAfter: notAfter * 1000 };
}

/** @throws MlsError `invalid-argument` */
export function decodePair(pair: KeyPackagePair): { keyPackage: KeyPackage; privatePackage: PrivateKeyPackage } {
  const decoded = decodeMessage(pair.bytes);
  const privatePackage = decodePrivate(pair.privateBytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package' || privatePackage === undefined) {
    throw new MlsError('invalid-argument', 'not a key package with its secrets');
  }
  return { keyPackage: decoded.message.keyPackage, privatePackage };
}

function encodePrivate(secrets: PrivateKeyPackage): Uint8Array {
  return encodeCbor({
    v: 1,
    init: secrets.initPrivateKey,
    encryption: secrets.hpkePrivateKey,
    signature: secrets.signaturePrivateKey,
  });
}

function decodePrivate(bytes: Uint8Array): PrivateKeyPackage | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined; // not CBOR: the same answer as CBOR of another shape
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { v, init, encryption, signature } = value as Record<string, unknown>;
  const areBytes = init instanceof Uint8Array && encryption instanceof Uint8Array && signature instanceof Uint8Array;
  if (v !== 1 || !areBytes) return undefined;
  // copies: the library keeps these buffers in the group state
  return {
    initPrivateKey: init.slice(),
    hpkePrivateKey: encryption.slice(),
    signaturePrivateKey: signature.slice(),
  };
}
