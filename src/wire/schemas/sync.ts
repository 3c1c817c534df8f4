import { z } from 'zod';
import { bytesSchema, groupIdBytes, hashBytes, positionSchema } from './common.ts';

const entryBytes = bytesSchema({ about: 'An entry, deterministic CBOR. In JSON pages entries are objects instead.' });

export const pageSchema = z.object({
  entries: z.array(entryBytes),
  cursors: bytesSchema({
    about: 'One cursor block of 16 bytes an entry. Left out of JSON pages: there each entry has a `cursor`.',
  }),
  cursor: z.string(),
  upToDate: z.boolean(),
  heads: z.array(z.object({ group: groupIdBytes, position: positionSchema, hash: hashBytes })),
});

export const groupLogPageSchema = z.object({
  entries: z.array(entryBytes),
  position: z.int().nonnegative(),
  upToDate: z.boolean(),
  head: hashBytes,
});
