import { toHex } from '../../wire/bytes.ts';
import { PUBLIC_KEY_BYTES } from '../suite.ts';

/**
 * The points of small order, as u coordinates in hex, the highest bit cleared (RFC 7748 §5 ignores it): 0, 1, the two of order 8,
 * and p − 1, p, p + 1.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

/**
 * Whether X25519 can agree on a secret with this public key: 32 bytes, and no point of small order. With one of those every agreement
 * is all zero, which HPKE refuses (RFC 9180 §7.1.4): a member whose leaf has such a key could be sent no path secret, so that nobody else
 * could commit, and a group that adds such a package could add nobody beside it.
 *
 * @param key of a leaf, a parent node, a key package or a GroupInfo, or the `kem_output` of something sealed
 */
export function isUsableKemKey(key: Uint8Array): boolean {
  if (key.length !== PUBLIC_KEY_BYTES) return false;
  // all seven end in one of three bytes: hardly any other key is written out
  const last = key[PUBLIC_KEY_BYTES - 1]! & 0x7f;
  if (last !== 0x00 && last !== 0x57 && last !== 0x7f) return true;
  const masked = key.slice();
  masked[PUBLIC_KEY_BYTES - 1] = last;
  return !SMALL_ORDER.has(toHex(masked));
}
