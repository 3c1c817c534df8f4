import { z } from 'zod';
import { bytesSchema, timeSchema } from './common.ts';

/** Bytes that mean nothing to the server: what a message of the group says about them is encrypted. */
export const blobBody = z.strictObject({
  blob: bytesSchema({ min: 1, about: 'The encrypted attachment.' }),
});
export type BlobBody = z.infer<typeof blobBody>;

export const storedBlobSchema = z.object({
  size: z.int().positive().meta({ description: 'Bytes.' }),
  expires: timeSchema.meta({ description: 'When it may be gone, milliseconds since 1970.' }),
});
export type StoredBlobAnswer = z.infer<typeof storedBlobSchema>;

/** `:hash` of a path: base64url of SHA-256, as it is written canonically. */
export const BLOB_HASH = '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$';
