import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  type KeyObject,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { concatBytes, equalBytes, toBase64Url, toHex } from '../wire/bytes.ts';
import type { Sha256 } from '../wire/ids.ts';
import { MlsError } from './errors.ts';
import { createHpke, type KemPrivateKey } from './hpke.ts';
import { assertPatchedLibrary } from './library.ts';
import {
  BASE_SUITE,
  type DirectCrypto,
  PKCS8_ED25519,
  PUBLIC_KEY_BYTES,
  SUITE_IDS,
  type Suite,
  type SuiteName,
} from './suite.ts';

const HASH_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
/** Signature keys kept as imported KeyObjects: a group of the largest size, twice. */
const VERIFY_KEYS_MAX = 4096;
const AEADS = {
  MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519: { id: 1, keyBytes: 16, cipher: 'aes-128-gcm' },
  MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: { id: 3, keyBytes: 32, cipher: 'chacha20-poly1305' },
} as const;

type Curve = 'Ed25519' | 'X25519';
interface NodePublicKey {
  readonly raw: Uint8Array;
  readonly key: KeyObject;
}
interface NodePrivateKey extends KemPrivateKey {
  readonly key: KeyObject;
}

/** SHA-256 by node:crypto, for the synchronous reducers. */
export const nodeSha256: Sha256 = (bytes) => owned(hash('sha256', bytes, 'buffer'));

/**
 * A cipher suite over node:crypto: four to thirteen times faster on Node 20 than the library's own over WebCrypto and
 * byte-compatible with it (both ways, tested).
 *
 * Keys come from `randomBytes` and go in as JWK: `generateKeyPairSync` followed by `export` deadlocks Node 20 under
 * garbage collection, and the DER import costs fifteen times as much there. A JWK import does not look whether `x`
 * belongs to `d`, which is used here (`x` is a dummy) and asserted on every call of this factory.
 *
 * @throws MlsError `library-unpatched`, `unknown-suite`
 */
export function createNodeSuite(name: SuiteName = BASE_SUITE): Suite {
  assertPatchedLibrary();
  if (!Object.hasOwn(SUITE_IDS, name)) throw new MlsError('unknown-suite', `cipher suite ${name} is not supported`);
  assertJwkImport();
  const aead = AEADS[name];
  const cipher = createAead(aead.cipher);
  const signature = createSignature();
  return {
    name,
    rng: { randomBytes: (length) => owned(randomBytes(length)) },
    hash: {
      digest: async (data) => nodeSha256(data),
      mac: async (key, data) => hmac(key, data),
      verifyMac: async (key, mac, data) => {
        const expected = hmac(key, data);
        return expected.length === mac.length && timingSafeEqual(expected, mac);
      },
    },
    kdf: {
      size: HASH_BYTES,
      extract: async (salt, ikm) => hmac(salt, ikm),
      expand: async (prk, info, length) => hkdfExpand(prk, length, info),
    },
    signature,
    publicKeyOf: ed25519PublicKey,
    direct: {
      keyBytes: aead.keyBytes,
      nonceBytes: NONCE_BYTES,
      hashBytes: HASH_BYTES,
      expand: expandOneBlock,
      open: cipher.open,
      verify: signature.verifyNow,
    },
    hpke: createHpke<NodePrivateKey, NodePublicKey>({
      aeadId: aead.id,
      keyLength: aead.keyBytes,
      generate: () => importX25519Private(randomBytes(PUBLIC_KEY_BYTES)),
      importPrivate: importX25519Private,
      importPublic: (raw) => ({ raw: owned(raw), key: publicFromJwk('X25519', raw) }),
      diffieHellman: (privateKey, publicKey) => {
        const secret = diffieHellman({ privateKey: privateKey.key, publicKey: publicKey.key });
        if (timingSafeEqual(secret, new Uint8Array(HASH_BYTES))) throw new Error('small-order public key');
        return secret;
      },
      extract: hmac,
      expand: hkdfExpand,
      ...cipher,
    }),
  };
}

/** Buffers come from a shared pool, and callers zero what they get: hand out copies. */
function owned(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return owned(mac.digest());
}

/** HKDF-Expand, RFC 5869 §2.3. */
function hkdfExpand(prk: Uint8Array, length: number, ...info: readonly Uint8Array[]): Uint8Array {
  if (length > 255 * HASH_BYTES) throw new RangeError('HKDF-Expand gives at most 255 blocks');
  const first = hmac(prk, ...info, Uint8Array.of(1));
  if (length <= HASH_BYTES) return length === HASH_BYTES ? first : first.slice(0, length);
  const output = new Uint8Array(length);
  let block = first;
  for (let offset = 0, counter = 1; ; ) {
    output.set(block.subarray(0, Math.min(HASH_BYTES, length - offset)), offset);
    offset += HASH_BYTES;
    if (offset >= length) return output;
    counter += 1;
    block = hmac(prk, block, ...info, Uint8Array.of(counter));
  }
}

const FIRST_BLOCK = Uint8Array.of(1);

/** {@link hkdfExpand} for at most one block, which is all that a message takes, and five times. */
function expandOneBlock(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > HASH_BYTES) throw new RangeError('one block has 32 bytes');
  const block = createHmac('sha256', secret).update(info).update(FIRST_BLOCK).digest();
  const output = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) output[i] = block[i]!;
  return output;
}

function createAead(cipherName: 'aes-128-gcm' | 'chacha20-poly1305') {
  const options = { authTagLength: TAG_BYTES };
  return {
    seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
      // both ciphers share one signature; the types only know each name by itself
      const cipher = createCipheriv(cipherName as 'aes-128-gcm', key, nonce, options);
      if (aad.length > 0) cipher.setAAD(aad, { plaintextLength: plaintext.length });
      const body = cipher.update(plaintext);
      cipher.final();
      return concatBytes(body, cipher.getAuthTag());
    },
    open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
      const length = ciphertext.length - TAG_BYTES;
      if (length < 0) throw new Error('ciphertext is shorter than its tag');
      const decipher = createDecipheriv(cipherName as 'aes-128-gcm', key, nonce, options);
      if (aad.length > 0) decipher.setAAD(aad, { plaintextLength: length });
      decipher.setAuthTag(ciphertext.subarray(length));
      const body = decipher.update(ciphertext.subarray(0, length));
      decipher.final();
      return owned(body);
    },
  };
}

function createSignature(): Suite['signature'] & { readonly verifyNow: DirectCrypto['verify'] } {
  const verifyKeys = new LRUCache<string, KeyObject>({ max: VERIFY_KEYS_MAX });
  const verifyKey = (raw: Uint8Array): KeyObject => {
    const id = toHex(raw);
    const known = verifyKeys.get(id);
    if (known !== undefined) return known;
    const key = publicFromJwk('Ed25519', raw);
    verifyKeys.set(id, key);
    return key;
  };
  const verifyNow: DirectCrypto['verify'] = (publicKey, message, signature) =>
    publicKey.length === PUBLIC_KEY_BYTES && verify(null, message, verifyKey(publicKey), signature);
  let lastSignKey: { readonly digest: Uint8Array; readonly key: KeyObject } | undefined; // a device signs with one key
  const signKey = (stored: Uint8Array): KeyObject => {
    const digest = nodeSha256(stored);
    if (lastSignKey === undefined || !equalBytes(lastSignKey.digest, digest)) {
      lastSignKey = { digest, key: privateFromJwk('Ed25519', seedOf(stored)) };
    }
    return lastSignKey.key;
  };
  return {
    sign: async (key, message) => owned(sign(null, message, signKey(key))),
    verifyNow,
    verify: async (publicKey, message, signature) => verifyNow(publicKey, message, signature),
    keygen: async () => {
      const seed = randomBytes(PUBLIC_KEY_BYTES);
      return { signKey: concatBytes(PKCS8_ED25519, seed), publicKey: publicOf(privateFromJwk('Ed25519', seed)) };
    },
  };
}

function seedOf(stored: Uint8Array): Uint8Array {
  if (stored.length === PUBLIC_KEY_BYTES) return stored;
  const prefix = stored.subarray(0, PKCS8_ED25519.length);
  if (stored.length !== PKCS8_ED25519.length + PUBLIC_KEY_BYTES || !equalBytes(prefix, PKCS8_ED25519)) {
    throw new MlsError('invalid-argument', 'not an Ed25519 seed, raw or in PKCS#8');
  }
  return stored.subarray(PKCS8_ED25519.length);
}

function importX25519Private(raw: Uint8Array): NodePrivateKey {
  const key = privateFromJwk('X25519', raw);
  let publicRaw: Uint8Array | undefined;
  return {
    raw: owned(raw),
    key,
    publicRaw: () => {
      publicRaw ??= publicOf(key);
      return publicRaw;
    },
  };
}

function privateFromJwk(crv: Curve, raw: Uint8Array): KeyObject {
  if (raw.length !== PUBLIC_KEY_BYTES) throw new Error(`a private key of ${crv} has ${PUBLIC_KEY_BYTES} bytes`);
  return createPrivateKey({ key: { kty: 'OKP', crv, x: 'A'.repeat(43), d: toBase64Url(raw) }, format: 'jwk' });
}

function publicFromJwk(crv: Curve, raw: Uint8Array): KeyObject {
  if (raw.length !== PUBLIC_KEY_BYTES) throw new Error(`a public key of ${crv} has ${PUBLIC_KEY_BYTES} bytes`);
  return createPublicKey({ key: { kty: 'OKP', crv, x: toBase64Url(raw) }, format: 'jwk' });
}

/** The Ed25519 public key of a seed of 32 bytes. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  return publicOf(privateFromJwk('Ed25519', seed));
}

function publicOf(privateKey: KeyObject): Uint8Array {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return owned(Buffer.from(x ?? '', 'base64url'));
}

/**
 * What must come out of an import by JWK is the key of `d`, not one of the dummy `x`: the public key equals `d` times
 * the base point 9 (RFC 7748 §4.1), and a signature verifies under the public key of RFC 8032 §7.1 test 1.
 */
function assertJwkImport(): void {
  const exchange = privateFromJwk('X25519', new Uint8Array(PUBLIC_KEY_BYTES).fill(7));
  const basePoint = publicFromJwk('X25519', Uint8Array.of(9, ...new Uint8Array(PUBLIC_KEY_BYTES - 1)));
  const signing = privateFromJwk(
    'Ed25519',
    fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
  );
  const verifying = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  const message = Uint8Array.of(1, 2, 3);
  const isSound =
    equalBytes(publicOf(exchange), diffieHellman({ privateKey: exchange, publicKey: basePoint })) &&
    equalBytes(publicOf(signing), verifying) &&
    verify(null, message, publicFromJwk('Ed25519', verifying), sign(null, message, signing));
  if (!isSound) throw new MlsError('unknown-suite', 'this Node does not import private JWK keys by their d');
}

function fromHex(text: string): Uint8Array {
  return owned(Buffer.from(text, 'hex'));
}
