import { z } from 'zod';
import { bytesSchema, epochSchema, groupIdBytes, hashBytes, positionSchema, timeSchema } from './common.ts';

const entryBytes = bytesSchema({ about: 'An entry, deterministic CBOR. In JSON pages entries are objects instead.' });

export const pageSchema = z.object({
  entries: z.array(entryBytes),
  cursors: bytesSchema({
    about: 'One cursor block of 16 bytes an entry. Left out of JSON pages: there each entry has a `cursor`.',
  }),
  cursor: z.string(),
  upToDate: z.boolean(),
  heads: z.array(z.object({ group: groupIdBytes, position: positionSchema, hash: hashBytes })),
  gaps: z
    .array(
      z.object({
        group: groupIdBytes,
        from: positionSchema,
        to: positionSchema,
        next: z.object({ head: hashBytes, epoch: epochSchema, time: timeSchema }).optional().meta({
          description: 'Where reading goes on behind the gap; absent when there is nothing more for the device.',
        }),
      }),
    )
    .optional()
    .meta({ description: 'Entries that the device should see next, and that the server does not keep any more.' }),
});

export const groupLogPageSchema = z.object({
  entries: z.array(entryBytes),
  position: z.int().nonnegative(),
  upToDate: z.boolean(),
  head: hashBytes,
  logStart: positionSchema.optional().meta({ description: 'First position that is kept.' }),
});
