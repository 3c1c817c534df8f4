import type { CiphersuiteImpl } from 'ts-mls';
import { MlsError } from './errors.ts';

/**
 * The cryptography of one cipher suite. Every operation of this folder takes one as its first argument, so that the
 * same code runs over node:crypto here and over WebCrypto in a browser.
 */
export interface Suite extends CiphersuiteImpl {
  /** The Ed25519 public key of a seed of 32 bytes. */
  publicKeyOf(seed: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Absent where the platform only has promises; then messages are opened the library's way. */
  readonly direct?: DirectCrypto;
}

/** What opening an application message needs, without a promise in between. */
export interface DirectCrypto {
  readonly keyBytes: number;
  readonly nonceBytes: number;
  readonly hashBytes: number;
  /** HKDF-Expand (RFC 5869 §2.3) for at most one block. */
  expand(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** @throws when the tag is wrong. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, the suite of RFC 9420 that everybody implements (§17.1). */
export const BASE_SUITE = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

/** Suites that differ in their AEAD only; all keys of both have 32 bytes. */
export const SUITE_IDS = {
  MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519: 1,
  MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: 3,
} as const;

/** The suites a group may have. */
export type SuiteName = keyof typeof SUITE_IDS;

/** Length of every public key (HPKE and signature) of the suites above, in bytes. */
export const PUBLIC_KEY_BYTES = 32;

/** RFC 8410 §7: what stands before the 32 bytes of an Ed25519 seed in PKCS#8. The library keeps seeds like that. */
export const PKCS8_ED25519: Readonly<Uint8Array> = Uint8Array.of(
  48,
  46,
  2,
  1,
  0,
  48,
  5,
  6,
  3,
  43,
  101,
  112,
  4,
  34,
  4,
  32,
);

function isSuiteName(name: string): name is SuiteName {
  return Object.hasOwn(SUITE_IDS, name);
}

/** @throws MlsError `unknown-suite` */
export function suiteNameOf(suite: Suite): SuiteName {
  if (!isSuiteName(suite.name)) throw new MlsError('unknown-suite', `cipher suite ${suite.name} is not supported`);
  return suite.name;
}
