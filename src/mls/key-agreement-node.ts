import { createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { toBase64Url } from '../wire/bytes.ts';

const KEY_BYTES = 32;
/** A private key imported by JWK is the one of its `d`; what stands for `x` is not looked at (see `suite-node.ts`). */
const ANY_X = 'A'.repeat(43);

/** One half of an X25519 agreement (RFC 7748 §6.1). */
export interface KeyAgreement {
  /** 32 bytes, for the other side. */
  readonly publicKey: Uint8Array;
  /** The secret shared with the holder of `peer`; `undefined` when `peer` is no key of 32 bytes, or one of low order. */
  agree(peer: Uint8Array): Uint8Array | undefined;
}

/** A fresh X25519 key for one agreement, by node:crypto. */
export function createKeyAgreement(): KeyAgreement {
  const d = toBase64Url(randomBytes(KEY_BYTES));
  const privateKey = createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', x: ANY_X, d }, format: 'jwk' });
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
    agree(peer) {
      if (peer.length !== KEY_BYTES) return undefined;
      const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: toBase64Url(peer) }, format: 'jwk' });
      try {
        const shared = new Uint8Array(diffieHellman({ privateKey, publicKey }));
        return shared.some((byte) => byte !== 0) ? shared : undefined;
      } catch {
        return undefined; // OpenSSL does not give the all-zero secret of a low-order key away
      }
    },
  };
}
