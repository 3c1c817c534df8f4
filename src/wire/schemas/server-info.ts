import { z } from 'zod';
import { bytesSchema } from './common.ts';

/** `/.well-known/mlsd` */
export const serverInfoSchema = z.object({
  domain: z.string(),
  version: z.string(),
  protocol: z.literal(1),
  serverKey: bytesSchema({ about: 'Ed25519 key that signs receipts.' }),
  ciphersuites: z.array(z.int()),
  time: z.int().meta({ description: 'Server time, milliseconds since 1970.' }),
  limits: z.record(z.string(), z.number()),
});
export type ServerInfo = z.infer<typeof serverInfoSchema>;

export const healthSchema = z.object({ status: z.enum(['alive', 'ready', 'not-ready']), reasons: z.array(z.string()) });
