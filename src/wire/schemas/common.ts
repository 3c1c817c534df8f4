import { z } from 'zod';
import { fromBase64Url } from '../bytes.ts';
import { type AccountId, type ClientId, type DeviceId, isClientId, isShortId } from '../ids.ts';
import { NAME_MAX_CHARACTERS } from '../names.ts';

/** Bytes: a byte string in CBOR, base64url in JSON. */
export function bytesSchema(options: { min?: number; max?: number; about: string }) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, about } = options;
  return z
    .preprocess(
      (value) => (typeof value === 'string' ? (fromBase64Url(value) ?? value) : value),
      z
        .custom<Uint8Array>((value) => value instanceof Uint8Array, 'a CBOR byte string, or base64url without padding')
        .refine((bytes) => bytes.length >= min && bytes.length <= max, `has ${min}–${max} bytes`),
    )
    .meta({ type: 'string', contentEncoding: 'base64url', description: about });
}

export const accountIdSchema = z
  .custom<AccountId>(
    (value) => typeof value === 'string' && isShortId(value),
    'an account id has 32 characters of base32',
  )
  .meta({ type: 'string', pattern: '^[a-z2-7]{32}$', description: 'Account id.' });

export const deviceIdSchema = z
  .custom<DeviceId>((value) => typeof value === 'string' && isShortId(value), 'a device id has 32 characters of base32')
  .meta({ type: 'string', pattern: '^[a-z2-7]{32}$', description: 'Device id.' });

export const clientIdSchema = z
  .custom<ClientId>(
    (value) => typeof value === 'string' && isClientId(value),
    'an id has 16–64 characters of A–Z a–z 0–9 _ -',
  )
  .meta({
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{16,64}$',
    description: 'Id chosen by the client; sent again, it gives the original answer.',
  });

export const nameSchema = z
  .string()
  .min(1)
  .max(NAME_MAX_CHARACTERS * 4);
export const groupIdBytes = bytesSchema({ min: 16, max: 32, about: 'MLS group_id, 16–32 bytes.' });
export const hashBytes = bytesSchema({ min: 32, max: 32, about: 'SHA-256.' });
export const mlsMessage = (about: string) => bytesSchema({ min: 1, about: `${about} (an MLSMessage, RFC 9420 §6).` });
export const timeSchema = z.int().nonnegative().meta({ description: 'Milliseconds since 1970.' });
export const positionSchema = z.int().positive().meta({ description: 'Dense number within the group, from 1.' });
export const epochSchema = z.int().nonnegative().meta({ description: 'MLS epoch.' });
export const receiptSchema = z
  .object({
    receipt: bytesSchema({ about: 'Receipt, deterministic CBOR.' }),
    signature: bytesSchema({
      about:
        'Ed25519 signature of the server over "mlsd receipt v1", a zero byte, and the receipt; or, of receipts that were signed together, over "mlsd receipts v1", a zero byte, the size (4 bytes, big-endian) and the root of the Merkle tree (RFC 9162) of salts and receipts, followed by leaf index, size (4 bytes each), salt (16 bytes) and inclusion path.',
    }),
  })
  .meta({ description: 'Proof of what the server accepted.' });
