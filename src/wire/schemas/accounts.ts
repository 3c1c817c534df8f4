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

const statementBytes = bytesSchema({ min: 1, max: 2048, about: 'A later statement, deterministic CBOR.' });
const statementSignature = bytesSchema({
  min: 64,
  max: 64,
  about: 'Ed25519 signature of the statement by the device, or the recovery key, that it names.',
});

/** A rename or a revocation: one statement that follows the account's newest one. */
export const changeRequest = z.strictObject({ statement: statementBytes, signature: statementSignature });
export type ChangeRequest = z.infer<typeof changeRequest>;

/** Adds a device: signed for by a valid device or the recovery key, agreed to by the new device. */
export const addDeviceRequest = z.strictObject({
  statement: statementBytes,
  signature: statementSignature,
  countersignature: bytesSchema({ min: 64, max: 64, about: "Ed25519 signature of the offer by the new device's key." }),
  keyPackages: z.array(mlsMessage('KeyPackage')).max(100),
});
export type AddDeviceRequest = z.infer<typeof addDeviceRequest>;

export const accountSchema = z.object({
  id: accountIdSchema,
  /** What the signed history says, as is all of this. */
  name: nameSchema,
  /** Without those that were revoked. */
  devices: z.array(deviceSchema),
  registeredAt: timeSchema,
  /** The whole signed history, from the registration on: whoever looks up an account folds it and trusts nothing else. */
  statements: z.array(
    z.object({
      statement: bytesSchema({ about: 'Statement.' }),
      signature: bytesSchema({ about: 'Signature.' }),
      countersignature: bytesSchema({ about: 'Consent of a device that is added.' }).exactOptional(),
    }),
  ),
});
export type Account = z.infer<typeof accountSchema>;

export const changeResponse = z.object({ account: accountSchema });
export type ChangeResponse = z.infer<typeof changeResponse>;

export const registerResponse = z.object({ account: accountSchema, keyPackages: publishResultSchema });
export type RegisterResponse = z.infer<typeof registerResponse>;
