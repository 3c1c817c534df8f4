/** What both ends of a session derive (`POST /v1/sessions`): one function, so that they cannot differ. */
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, toUtf8 } from './bytes.ts';

/** Of an X25519 public key, and of the key that signs a session's requests. */
export const SESSION_KEY_BYTES = 32;
const INFO = toUtf8('mlsd session v1');
const NO_SALT = new Uint8Array(0);

/**
 * The HMAC-SHA256 key of a session: HKDF-SHA256 (RFC 5869) of the X25519 secret, bound to both ephemeral keys.
 *
 * @param shared the X25519 result, 32 bytes
 * @returns 32 bytes; `undefined` for the all-zero secret that a low-order key gives (RFC 7748 §6.1): it is known to all
 * @throws RangeError when one of the three has not 32 bytes
 */
export function deriveSessionKey(
  shared: Uint8Array,
  clientKey: Uint8Array,
  serverKey: Uint8Array,
): Uint8Array | undefined {
  for (const bytes of [shared, clientKey, serverKey]) {
    if (bytes.length !== SESSION_KEY_BYTES) throw new RangeError(`a session is made of ${SESSION_KEY_BYTES}-byte keys`);
  }
  let bits = 0;
  for (const byte of shared) bits |= byte;
  if (bits === 0) return undefined;
  return hkdf(sha256, shared, NO_SALT, concatBytes(INFO, clientKey, serverKey), SESSION_KEY_BYTES);
}
