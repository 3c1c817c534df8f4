import { z } from 'zod';
import { DEVICE_OFFER_MAX_BYTES } from '../device-offer.ts';
import { type DeviceOfferId, isDeviceOfferId } from '../link-code.ts';
import { bytesSchema, timeSchema } from './common.ts';

const offerBytes = bytesSchema({ min: 1, max: DEVICE_OFFER_MAX_BYTES, about: 'DeviceOffer, CBOR.' });

/** What a new device says of itself, agreed to by its key; public. */
export const deviceOfferBody = z.strictObject({ offer: offerBytes });
export type DeviceOfferBody = z.infer<typeof deviceOfferBody>;

export const storedOfferSchema = z.object({
  expires: timeSchema.meta({ description: 'When it is gone, milliseconds since 1970.' }),
});
export type StoredOfferAnswer = z.infer<typeof storedOfferSchema>;

export const deviceOfferIdSchema = z
  .custom<DeviceOfferId>(
    (value) => typeof value === 'string' && isDeviceOfferId(value),
    'the id of an offer has 32 characters of base32',
  )
  .meta({ type: 'string', pattern: '^[a-z2-7]{32}$', description: 'Id that follows from the offer’s link code.' });
