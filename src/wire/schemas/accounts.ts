import { z } from 'zod';
import { accountIdSchema, bytesSchema, deviceIdSchema, mlsMessage, nameSchema, timeSchema } from './common.ts';
import { publishResultSchema } from './key-packages.ts';

export const registerRequest = z.strictObject({
  statement: bytesSchema({ min: 1, max: 8192, about: 'RegistrationStatement, deterministic CBOR.' }),
  signature: bytesSchema({ min: 64, max: 64, about: "Ed25519 signature of the statement by its device's key." }),
  keyPackages: z.array(mlsMessage('KeyPackage')).max(100),
});
export type RegisterRequest = z.infer<typeof registerRequest>;

export const deviceSchema = z.object({
  id: deviceIdSchema,
  key: bytesSchema({ about: 'Ed25519 device key.' }),
  label: z.string(),
  signatureKeys: z.array(bytesSchema({ about: 'MLS signature key.' })),
});

export const accountSchema = z.object({
  id: accountIdSchema,
  name: nameSchema,
  devices: z.array(deviceSchema),
  registeredAt: timeSchema,
  /** The signed history, from the registration on: whoever looks up an account can check its id and keys. */
  statements: z.array(
    z.object({ statement: bytesSchema({ about: 'Statement.' }), signature: bytesSchema({ about: 'Signature.' }) }),
  ),
});
export type Account = z.infer<typeof accountSchema>;

export const registerResponse = z.object({ account: accountSchema, keyPackages: publishResultSchema });
export type RegisterResponse = z.infer<typeof registerResponse>;
