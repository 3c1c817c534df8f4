import { z } from 'zod';
import type { RegistrationStatement } from './account-statement.ts';
import { statementDevice } from './account-statement.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { decodeGroupedCode, encodeGroupedCode } from './grouped-code.ts';
import type { AccountId, Sha256 } from './ids.ts';
import { accountIdSchema } from './schemas/common.ts';

/** A new device's wish to belong to an account, signed by its key over {@link offerToSign}: public, good for this account alone. */
export interface DeviceOffer {
  readonly account: AccountId;
  readonly device: RegistrationStatement['device'];
  readonly countersignature: Uint8Array;
}

/** With all the keys and the longest label that a statement may have. */
export const DEVICE_OFFER_MAX_BYTES = 2048;

const offerSchema = z.strictObject({
  account: accountIdSchema,
  device: statementDevice,
  countersignature: z.instanceof(Uint8Array).refine((bytes) => bytes.length === 64, 'a signature has 64 bytes'),
});

export function encodeDeviceOffer({ account, device, countersignature }: DeviceOffer): Uint8Array {
  return encodeCbor({ account, device, countersignature });
}

/** `undefined` for what is no offer. Its signature is verified by whoever signs for it. */
export function decodeDeviceOffer(bytes: Uint8Array): DeviceOffer | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined;
  }
  const parsed = offerSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** The whole offer as text, to be copied where the server keeps no offers: some 430 characters. */
export function formatDeviceOffer(offer: DeviceOffer, sha256: Sha256): string {
  return encodeGroupedCode(encodeDeviceOffer(offer), sha256);
}

/** `undefined` for what is no offer, or one with a slip in it. Its signature is verified by whoever signs for it. */
export function parseDeviceOffer(text: string, sha256: Sha256): DeviceOffer | undefined {
  const bytes = decodeGroupedCode(text, sha256);
  return bytes === undefined ? undefined : decodeDeviceOffer(bytes);
}
