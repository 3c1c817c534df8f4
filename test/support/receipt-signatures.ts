import { createPublicKey, verify } from 'node:crypto';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { openSignature, type SignedReceipt } from '../../src/wire/receipt.ts';

/** Whether a key signed a receipt, as whoever is shown it as a proof finds out. */
export function isSignedBy(key: Uint8Array, signed: SignedReceipt): boolean {
  const opened = openSignature(signed, nodeSha256);
  if (opened === undefined) return false;
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(key) }, format: 'jwk' });
  return verify(null, opened.message, publicKey, opened.signature);
}

/** An answer without the signature of its receipt, which says also what else was signed with it. */
export function unsigned<Answer extends { readonly receipt: SignedReceipt }>({
  receipt: { receipt },
  ...rest
}: Answer) {
  return { ...rest, receipt };
}
