import { toBase32, toBase64Url } from './bytes.ts';

declare const brand: unique symbol;
type Brand<Value, Name extends string> = Value & { readonly [brand]: Name };

/** base32 of SHA-256 of the account's registration statement, 32 characters. Never changes. */
export type AccountId = Brand<string, 'AccountId'>;
/** base32 of SHA-256 of the device's Ed25519 key, 32 characters. */
export type DeviceId = Brand<string, 'DeviceId'>;
/** base64url of an MLS `group_id` of 16–32 bytes. */
export type GroupId = Brand<string, 'GroupId'>;
/** A dense number within one group: 1, 2, 3, … */
export type Position = Brand<number, 'Position'>;
/** Opaque; made only by the server, or the reserved word `start`. */
export type Cursor = Brand<string, 'Cursor'>;
/** A client-made id of a request or a message: 16–64 characters of `A–Z a–z 0–9 _ -`. */
export type ClientId = Brand<string, 'ClientId'>;

/** SHA-256, handed in by whoever runs: node:crypto on the server, any pure one elsewhere. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export const START_CURSOR = 'start' as Cursor;
export const GROUP_ID_MIN_BYTES = 16;
export const GROUP_ID_MAX_BYTES = 32;
const SHORT_ID = /^[a-z2-7]{32}$/;
const CLIENT_ID = /^[A-Za-z0-9_-]{16,64}$/;
const GROUP_ID = /^[A-Za-z0-9_-]{22,43}$/;

export function accountIdOf(registrationStatement: Uint8Array, sha256: Sha256): AccountId {
  return shortId(registrationStatement, sha256) as AccountId;
}

export function deviceIdOf(deviceKey: Uint8Array, sha256: Sha256): DeviceId {
  return shortId(deviceKey, sha256) as DeviceId;
}

/** @throws RangeError when the id is not 16–32 bytes. */
export function groupIdOf(bytes: Uint8Array): GroupId {
  if (bytes.length < GROUP_ID_MIN_BYTES || bytes.length > GROUP_ID_MAX_BYTES) {
    throw new RangeError(
      `a group id has ${GROUP_ID_MIN_BYTES}–${GROUP_ID_MAX_BYTES} bytes, this one has ${bytes.length}`,
    );
  }
  return toBase64Url(bytes) as GroupId;
}

export function isShortId(text: string): boolean {
  return SHORT_ID.test(text);
}

export function isClientId(text: string): text is ClientId {
  return CLIENT_ID.test(text);
}

export function isGroupId(text: string): text is GroupId {
  return GROUP_ID.test(text);
}

const CLIENT_ID_BYTES = 16;
const TIME_BYTES = 6;

/**
 * A new client id: 48 bits of time, then 80 random bits, base64url (22 characters). Ids of one device ascend with
 * time, so the server's table of seen ids grows at one end and stays cheap.
 */
export function newClientId(nowMs: number, randomBytes: (length: number) => Uint8Array): ClientId {
  const bytes = new Uint8Array(CLIENT_ID_BYTES);
  let rest = nowMs;
  for (let i = TIME_BYTES - 1; i >= 0; i -= 1) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(randomBytes(CLIENT_ID_BYTES - TIME_BYTES), TIME_BYTES);
  return toBase64Url(bytes) as ClientId;
}

function shortId(bytes: Uint8Array, sha256: Sha256): string {
  return toBase32(sha256(bytes).subarray(0, 20));
}
