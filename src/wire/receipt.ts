import { concatBytes, toUtf8 } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';

/** What the server promised about one accepted append, signed with the key in `/.well-known/mlsd`. */
export interface Receipt {
  readonly v: 1;
  readonly domain: string;
  readonly group: Uint8Array;
  /** Position of the last accepted entry of the request. */
  readonly position: number;
  /** Head after that position. */
  readonly head: Uint8Array;
  /** Server time, milliseconds since 1970. */
  readonly time: number;
}

/** A receipt's bytes and the Ed25519 signature over {@link receiptToSign}. */
export interface SignedReceipt {
  readonly receipt: Uint8Array;
  readonly signature: Uint8Array;
}

const RECEIPT_CONTEXT = toUtf8('mlsd receipt v1\0');

export function encodeReceipt(receipt: Receipt): Uint8Array {
  return encodeCbor(receipt);
}

/** @throws SyntaxError when the bytes are no CBOR. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  return decodeCbor(bytes) as Receipt;
}

export function receiptToSign(receipt: Uint8Array): Uint8Array {
  return concatBytes(RECEIPT_CONTEXT, receipt);
}
