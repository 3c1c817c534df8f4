const KEY_BYTES = 32;

type WebKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
/** What WebCrypto makes for a curve; its types do not tell it from a single key. */
interface WebKeyPair {
  readonly publicKey: WebKey;
  readonly privateKey: WebKey;
}

/** One half of an X25519 agreement (RFC 7748 §6.1). */
export interface WebKeyAgreement {
  /** 32 bytes, for the other side. */
  readonly publicKey: Uint8Array;
  /** The secret shared with the holder of `peer`; `undefined` when `peer` is no key of 32 bytes, or one of low order. */
  agree(peer: Uint8Array): Promise<Uint8Array | undefined>;
}

/** A fresh X25519 key for one agreement, by WebCrypto. */
export async function createKeyAgreement(): Promise<WebKeyAgreement> {
  const { subtle } = crypto;
  const { publicKey, privateKey } = (await subtle.generateKey('X25519', false, ['deriveBits'])) as WebKeyPair;
  return {
    publicKey: new Uint8Array(await subtle.exportKey('raw', publicKey)),
    async agree(peer) {
      if (peer.length !== KEY_BYTES) return undefined;
      const key = await subtle.importKey('raw', peer.slice(), 'X25519', false, []);
      try {
        return new Uint8Array(await subtle.deriveBits({ name: 'X25519', public: key }, privateKey, KEY_BYTES * 8));
      } catch {
        return undefined; // the all-zero secret of a low-order key is not given away
      }
    },
  };
}
