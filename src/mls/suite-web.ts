import { sha256 } from '@noble/hashes/sha2.js';
import { getCiphersuiteFromName, getCiphersuiteImpl } from 'ts-mls';
import { concatBytes, fromBase64Url } from '../wire/bytes.ts';
import type { Sha256 } from '../wire/ids.ts';
import { MlsError } from './errors.ts';
import { assertPatchedLibrary } from './library.ts';
import { BASE_SUITE, PKCS8_ED25519, PUBLIC_KEY_BYTES, type Suite } from './suite.ts';

/** SHA-256 without a promise, for the synchronous reducers: WebCrypto has none. */
export const webSha256: Sha256 = (bytes) => new Uint8Array(sha256(bytes));

/**
 * The base suite over WebCrypto, as the MLS library brings it: for browsers. They have `crypto.subtle` in secure contexts only
 * (HTTPS, or localhost), and both curves from Chromium 137, Firefox 130 and Safari 17 on.
 *
 * @throws MlsError `library-unpatched`, `unknown-suite` where WebCrypto or one of the curves is missing
 */
export async function createWebSuite(): Promise<Suite> {
  assertPatchedLibrary();
  await assertWebCrypto();
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName(BASE_SUITE));
  return { ...suite, publicKeyOf: ed25519PublicKey };
}

/** Said at the start, not by whatever key is needed first. */
async function assertWebCrypto(): Promise<void> {
  try {
    await ed25519PublicKey(new Uint8Array(PUBLIC_KEY_BYTES));
    await crypto.subtle.generateKey('X25519', false, ['deriveBits']);
  } catch (cause) {
    throw new MlsError('unknown-suite', 'WebCrypto with Ed25519 and X25519 is not available here', cause);
  }
}

async function ed25519PublicKey(seed: Uint8Array): Promise<Uint8Array> {
  if (seed.length !== PUBLIC_KEY_BYTES) throw new Error(`a seed of Ed25519 has ${PUBLIC_KEY_BYTES} bytes`);
  const pkcs8 = concatBytes(PKCS8_ED25519, seed);
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
  const { x = '' } = await crypto.subtle.exportKey('jwk', key);
  return fromBase64Url(x)!;
}
