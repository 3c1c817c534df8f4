import type { Hpke } from 'ts-mls/crypto/hpke.js';
import { concatBytes, toUtf8 } from '../wire/bytes.ts';

/** A private key of DHKEM(X25519): raw bytes, and the public key that belongs to it. */
export interface KemPrivateKey {
  readonly raw: Uint8Array;
  readonly publicRaw: () => Uint8Array;
}

/** What HPKE is built from; all synchronous, all results are new byte strings. */
export interface HpkePrimitives<Private extends KemPrivateKey, Public extends { readonly raw: Uint8Array }> {
  readonly aeadId: number;
  readonly keyLength: number;
  readonly generate: () => Private;
  readonly importPrivate: (raw: Uint8Array) => Private;
  readonly importPublic: (raw: Uint8Array) => Public;
  /** Throws when the shared secret is all zero (RFC 9180 §7.1.4). */
  readonly diffieHellman: (privateKey: Private, publicKey: Public) => Uint8Array;
  readonly extract: (salt: Uint8Array, ...ikm: readonly Uint8Array[]) => Uint8Array;
  readonly expand: (prk: Uint8Array, length: number, ...info: readonly Uint8Array[]) => Uint8Array;
  readonly seal: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => Uint8Array;
  readonly open: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array) => Uint8Array;
}

const KEM_X25519_SHA256 = 0x0020;
const KDF_HKDF_SHA256 = 0x0001;
const NONCE_BYTES = 12;
const HASH_BYTES = 32;
const NOTHING = new Uint8Array(0);
const VERSION = toUtf8('HPKE-v1');
const MODE_BASE = Uint8Array.of(0);

const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);

/** HPKE in base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256) with HKDF-SHA256, in the shape the MLS library wants. */
export function createHpke<Private extends KemPrivateKey, Public extends { readonly raw: Uint8Array }>(
  primitives: HpkePrimitives<Private, Public>,
): Hpke {
  const { extract, expand, keyLength, seal, open } = primitives;
  const kemId = concatBytes(toUtf8('KEM'), uint16(KEM_X25519_SHA256));
  const suiteId = concatBytes(
    toUtf8('HPKE'),
    uint16(KEM_X25519_SHA256),
    uint16(KDF_HKDF_SHA256),
    uint16(primitives.aeadId),
  );

  // LabeledExtract and LabeledExpand, RFC 9180 §4
  const labeledExtract = (id: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array) =>
    extract(salt, VERSION, id, toUtf8(label), ikm);
  const labeledExpand = (id: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number) =>
    expand(prk, length, uint16(length), VERSION, id, toUtf8(label), info);

  const sharedSecret = (dh: Uint8Array, kemContext: Uint8Array) =>
    labeledExpand(kemId, labeledExtract(kemId, NOTHING, 'eae_prk', dh), 'shared_secret', kemContext, HASH_BYTES);
  const encapsulate = (to: Public) => {
    const ephemeral = primitives.generate();
    const enc = ephemeral.publicRaw();
    return { enc, secret: sharedSecret(primitives.diffieHellman(ephemeral, to), concatBytes(enc, to.raw)) };
  };
  const decapsulate = (key: Private, enc: Uint8Array) =>
    sharedSecret(primitives.diffieHellman(key, primitives.importPublic(enc)), concatBytes(enc, key.publicRaw()));

  // KeySchedule, RFC 9180 §5.1, mode_base: no PSK
  const pskIdHash = labeledExtract(suiteId, NOTHING, 'psk_id_hash', NOTHING);
  const schedule = (shared: Uint8Array, info: Uint8Array) => {
    const context = concatBytes(MODE_BASE, pskIdHash, labeledExtract(suiteId, NOTHING, 'info_hash', info));
    const secret = labeledExtract(suiteId, shared, 'secret', NOTHING);
    return {
      key: () => labeledExpand(suiteId, secret, 'key', context, keyLength),
      nonce: () => labeledExpand(suiteId, secret, 'base_nonce', context, NONCE_BYTES),
      exporter: () => labeledExpand(suiteId, secret, 'exp', context, HASH_BYTES),
    };
  };
  const exported = (shared: Uint8Array, info: Uint8Array, exporterContext: Uint8Array, length: number) =>
    labeledExpand(suiteId, schedule(shared, info).exporter(), 'sec', exporterContext, length);

  const pair = (key: Private) => ({ privateKey: lend(key), publicKey: lend(primitives.importPublic(key.publicRaw())) });

  return {
    keyLength,
    nonceLength: NONCE_BYTES,
    importPrivateKey: async (raw) => lend(primitives.importPrivate(raw)),
    importPublicKey: async (raw) => lend(primitives.importPublic(raw)),
    exportPublicKey: async (key) => borrow<Public>(key).raw.slice(),
    exportPrivateKey: async (key) => borrow<Private>(key).raw.slice(),
    encryptAead: async (key, nonce, aad, plaintext) => seal(key, nonce, aad ?? NOTHING, plaintext),
    decryptAead: async (key, nonce, aad, ciphertext) => open(key, nonce, aad ?? NOTHING, ciphertext),
    seal: async (publicKey, plaintext, info, aad) => {
      const { enc, secret } = encapsulate(borrow<Public>(publicKey));
      const { key, nonce } = schedule(secret, info);
      return { enc, ct: seal(key(), nonce(), aad ?? NOTHING, plaintext) };
    },
    open: async (privateKey, enc, ciphertext, info, aad) => {
      const { key, nonce } = schedule(decapsulate(borrow<Private>(privateKey), enc), info);
      return open(key(), nonce(), aad ?? NOTHING, ciphertext);
    },
    exportSecret: async (publicKey, exporterContext, length, info) => {
      const { enc, secret } = encapsulate(borrow<Public>(publicKey));
      return { enc, secret: exported(secret, info, exporterContext, length) };
    },
    importSecret: async (privateKey, exporterContext, enc, length, info) =>
      exported(decapsulate(borrow<Private>(privateKey), enc), info, exporterContext, length),
    // DeriveKeyPair of DHKEM(X25519), RFC 9180 §7.1.3
    deriveKeyPair: async (ikm) =>
      pair(
        primitives.importPrivate(
          labeledExpand(kemId, labeledExtract(kemId, NOTHING, 'dkp_prk', ikm), 'sk', NOTHING, HASH_BYTES),
        ),
      ),
    generateKeyPair: async () => pair(primitives.generate()),
  };
}

// The library types keys as WebCrypto's CryptoKey but only ever hands them back to the suite that made them.
type LibraryPublicKey = Awaited<ReturnType<Hpke['importPublicKey']>>;
type LibraryPrivateKey = Awaited<ReturnType<Hpke['importPrivateKey']>>;

function lend(key: unknown): LibraryPrivateKey & LibraryPublicKey {
  return key as LibraryPrivateKey & LibraryPublicKey;
}

function borrow<Key>(key: unknown): Key {
  return key as Key;
}
