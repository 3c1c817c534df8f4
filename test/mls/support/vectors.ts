import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { CiphersuiteName } from 'ts-mls';
import { ciphersuites } from 'ts-mls';
import type { Suite } from '../../../src/mls/suite.ts';
import { createNodeSuite } from '../../../src/mls/suite-node.ts';
import type { Sha256 } from '../../../src/wire/ids.ts';

const FOLDER = fileURLToPath(new URL('../../../../shared/vectors/', import.meta.url));

/** The working group's vectors stand beside the checkout; their tests are skipped, visibly, where they do not. */
export const hasVectors = existsSync(FOLDER);

export function vectors<Vector>(name: string): Vector[] {
  return JSON.parse(gunzipSync(readFileSync(`${FOLDER}${name}.json.gz`)).toString('utf8'));
}

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** The suites that this project speaks. */
export const isOurs = (vector: { cipher_suite: number }): boolean => [1, 3].includes(vector.cipher_suite);

const NAMES = new Map<number, CiphersuiteName>(
  Object.entries(ciphersuites).map(([name, id]) => [id, name as CiphersuiteName]),
);
const HASHES: Record<number, string> = {
  1: 'sha256',
  2: 'sha256',
  3: 'sha256',
  4: 'sha512',
  5: 'sha512',
  6: 'sha512',
  7: 'sha384',
};

/** The hash of a suite, synchronous. */
export function syncHash(id: number): Sha256 {
  const hash = HASHES[id]!;
  return (bytes) => Uint8Array.from(createHash(hash).update(bytes).digest());
}

export function ourSuite(id: number): Suite {
  if (id === 1) return createNodeSuite('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519');
  return createNodeSuite('MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519');
}

/** Hash and signature check of any suite of RFC 9420, enough to validate a tree; nothing else works. */
export function verifyingSuite(id: number): Suite {
  const hash = HASHES[id]!;
  const base = createNodeSuite();
  return {
    ...base,
    name: NAMES.get(id)!,
    hash: { ...base.hash, digest: async (data) => Uint8Array.from(createHash(hash).update(data).digest()) },
    signature: {
      ...base.signature,
      verify: async (publicKey, message, signature) => {
        const key = createPublicKey({ key: jwkOf(id, publicKey), format: 'jwk' });
        return verify(id === 2 || id === 5 || id === 7 ? hash : null, message, key, signature);
      },
    },
  };
}

function jwkOf(id: number, key: Uint8Array): JsonWebKey {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  const edwards: Record<number, string> = { 1: 'Ed25519', 3: 'Ed25519', 4: 'Ed448', 6: 'Ed448' };
  if (edwards[id] !== undefined) return { kty: 'OKP', crv: edwards[id], x: text(key) };
  const crv = { 2: 'P-256', 5: 'P-521', 7: 'P-384' }[id]!;
  const half = (key.length - 1) / 2; // an uncompressed point: 4, x, y
  return { kty: 'EC', crv, x: text(key.subarray(1, 1 + half)), y: text(key.subarray(1 + half)) };
}
