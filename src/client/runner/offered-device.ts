import { type DeviceOffer, decodeDeviceOffer, parseDeviceOffer } from '../../wire/device-offer.ts';
import type { AccountId, Sha256 } from '../../wire/ids.ts';
import { deviceOfferIdOf, isOfferOf, parseLinkCode } from '../../wire/link-code.ts';
import type { ServerApi } from '../transport/server-api.ts';
import { asClientError } from './failures.ts';

interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
}

/**
 * The offer that a code stands for: a long code holds it; for a short one the server is asked, whose answer counts only when
 * it is what the code was made of. Of a code with a slip the server hears nothing.
 */
export function createOfferReader(world: {
  readonly api: Pick<ServerApi, 'deviceOffer'>;
  readonly sha256: Sha256;
  readonly me: AccountId;
}): (typed: string) => Promise<DeviceOffer | Refused> {
  const { api, sha256, me } = world;
  const fetched = async (typed: string): Promise<DeviceOffer | Refused> => {
    const code = parseLinkCode(typed, sha256);
    if (code === undefined) return refused('this is no code of a new device, or it has a slip in it');
    const bytes = await api.deviceOffer(deviceOfferIdOf(code, sha256)).catch((error: unknown) => {
      throw asClientError(error, 'asking for the new device');
    });
    if (bytes === undefined) {
      return refused(
        'no device of this account waits under this code: look whether the new device still waits, and shows this account',
      );
    }
    const offer = isOfferOf(code, bytes, sha256) ? decodeDeviceOffer(bytes) : undefined;
    return offer ?? refused('the server gave another device than the one that shows this code; nothing was added');
  };
  return async (typed) => {
    const offer = parseDeviceOffer(typed, sha256) ?? (await fetched(typed));
    if ('kind' in offer) return offer;
    return offer.account === me ? offer : refused('this code is for another account');
  };
}

function refused(reason: string): Refused {
  return { kind: 'refused', reason };
}
