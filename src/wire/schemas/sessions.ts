import { z } from 'zod';
import { SESSION_KEY_BYTES } from '../session.ts';
import { bytesSchema, timeSchema } from './common.ts';

const x25519Key = (whose: string) =>
  bytesSchema({ min: SESSION_KEY_BYTES, max: SESSION_KEY_BYTES, about: `Ephemeral X25519 key of the ${whose}.` });

export const sessionRequest = z.strictObject({ key: x25519Key('client') });
export type SessionRequest = z.infer<typeof sessionRequest>;

export const sessionResponse = z.object({
  key: x25519Key('server'),
  ticket: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{16,512}$/)
    .meta({ description: '`keyid` of the requests that the session signs (`hmac-sha256`). Opaque.' }),
  expiresAt: timeSchema,
});
export type SessionResponse = z.infer<typeof sessionResponse>;
