import { z } from 'zod';
import { concatBytes, equalBytes, toUtf8 } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { checkName } from './names.ts';

/**
 * An account begins with a statement that its first device signs; the account's id is the hash of that statement, so
 * nobody, the server included, can put other keys under the same id.
 */
export interface RegistrationStatement {
  readonly v: 1;
  readonly type: 'register';
  readonly domain: string;
  /** As the user typed it, NFKC. */
  readonly name: string;
  readonly device: {
    /** Ed25519, 32 bytes. Signs requests and statements; never an MLS signature key. */
    readonly key: Uint8Array;
    readonly label: string;
    /** MLS signature keys (Ed25519, 32 bytes each) that leaves of this device may carry. */
    readonly signatureKeys: readonly Uint8Array[];
  };
  /** Ed25519, 32 bytes: its holder can add and revoke devices when every device is lost. */
  readonly recoveryKey?: Uint8Array;
  /** Client time, milliseconds since 1970. */
  readonly time: number;
  /** 16 random bytes: two registrations never have one id. */
  readonly nonce: Uint8Array;
}

const STATEMENT_CONTEXT = toUtf8('mlsd account statement v1\0');
const KEY_BYTES = 32;
const NONCE_BYTES = 16;
export const DEVICE_LABEL_MAX_CHARACTERS = 64;
export const SIGNATURE_KEYS_MAX = 16;

const key = z.instanceof(Uint8Array).refine((bytes) => bytes.length === KEY_BYTES, 'a key has 32 bytes');
export const statementName = z.string().refine((name) => {
  const check = checkName(name);
  return check.ok && check.name === name;
}, 'a name has 1–32 letters, digits, ".", "_" or "-", in NFKC');
export const statementDevice = z
  .strictObject({
    key,
    label: z.string().max(DEVICE_LABEL_MAX_CHARACTERS),
    signatureKeys: z.array(key).min(1).max(SIGNATURE_KEYS_MAX),
  })
  .refine((device) => !device.signatureKeys.some((other) => equalBytes(other, device.key)), {
    error: 'the device key cannot also be an MLS signature key',
  });
const statementSchema = z.strictObject({
  v: z.literal(1),
  type: z.literal('register'),
  domain: z.string().min(1).max(253),
  name: statementName,
  device: statementDevice,
  recoveryKey: key.exactOptional(),
  time: z.int().nonnegative(),
  nonce: z.instanceof(Uint8Array).refine((bytes) => bytes.length === NONCE_BYTES, 'the nonce has 16 bytes'),
});

/** What the device key signs: a context string, then the statement's bytes. */
export function statementToSign(statement: Uint8Array): Uint8Array {
  return concatBytes(STATEMENT_CONTEXT, statement);
}

export function encodeRegistration(statement: RegistrationStatement): Uint8Array {
  return encodeCbor(statement);
}

export type RegistrationParse = { ok: true; statement: RegistrationStatement } | { ok: false; reason: string };

/** Strict; the device key must differ from every MLS signature key (one key, one purpose). */
export function parseRegistration(bytes: Uint8Array): RegistrationParse {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return { ok: false, reason: 'the statement is not well-formed CBOR' };
  }
  const parsed = statementSchema.safeParse(value);
  if (!parsed.success) return { ok: false, reason: z.prettifyError(parsed.error) };
  return { ok: true, statement: parsed.data };
}
