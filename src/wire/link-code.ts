import { concatBytes, equalBytes, toBase32, toUtf8 } from './bytes.ts';
import { decodeGroupedCode, encodeGroupedCode } from './grouped-code.ts';
import { isShortId, type Sha256 } from './ids.ts';

declare const brand: unique symbol;
/** Where an offer waits on the server: base32, 32 characters. */
export type DeviceOfferId = string & { readonly [brand]: 'DeviceOfferId' };

/**
 * What a person types in the place of a device offer: the beginning of its SHA-256. Nothing else fits it: to put another
 * offer in its place somebody has to find a second preimage of 104 bits (docs/adr/0023).
 */
export type LinkCode = Uint8Array & { readonly [brand]: 'LinkCode' };

const CODE_BYTES = 13;
/** With the code 15 bytes: 24 characters without a rest, and a slip is noticed but once in 65,536 times. */
const CHECKSUM_BYTES = 2;
const ID_BYTES = 20;
const CODE_CONTEXT = toUtf8('mlsd link code v1\0');
const ID_CONTEXT = toUtf8('mlsd link lookup v1\0');

/** The code of an offer as it is encoded, byte for byte. */
export function linkCodeOf(offer: Uint8Array, sha256: Sha256): LinkCode {
  return sha256(concatBytes(CODE_CONTEXT, offer)).slice(0, CODE_BYTES) as LinkCode;
}

/** Whether these bytes are what the code stands for. */
export function isOfferOf(code: LinkCode, offer: Uint8Array, sha256: Sha256): boolean {
  return equalBytes(linkCodeOf(offer, sha256), code);
}

/** Six groups of four characters. */
export function formatLinkCode(code: LinkCode, sha256: Sha256): string {
  return encodeGroupedCode(code, sha256, CHECKSUM_BYTES);
}

/** Takes any spacing and letters of either case; `undefined` for what is no link code, or one with a slip in it. */
export function parseLinkCode(text: string, sha256: Sha256): LinkCode | undefined {
  const bytes = decodeGroupedCode(text, sha256, CHECKSUM_BYTES);
  return bytes?.length === CODE_BYTES ? (bytes as LinkCode) : undefined;
}

/** The name under which the server keeps the offer; from it alone nobody comes to the code. */
export function deviceOfferIdOf(code: LinkCode, sha256: Sha256): DeviceOfferId {
  return toBase32(sha256(concatBytes(ID_CONTEXT, code)).subarray(0, ID_BYTES)) as DeviceOfferId;
}

export function isDeviceOfferId(text: string): text is DeviceOfferId {
  return isShortId(text);
}
