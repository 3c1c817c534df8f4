import { type DeviceOffer, encodeDeviceOffer, formatDeviceOffer } from '../../wire/device-offer.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { deviceOfferIdOf, formatLinkCode, linkCodeOf } from '../../wire/link-code.ts';
import { ProblemError } from '../../wire/problems.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';

/** An offer is put up again long before a server forgets it, and soon after one has lost it. */
const RENEW_MS = 2 * 60_000;

/** Where a new device leaves its offer while it waits. */
export interface OfferBoard {
  /** The code to show: a short one when the server keeps the offer, else one that holds it. */
  put(): Promise<string>;
  /** Puts it up again when it is time. What goes wrong then is tried again later. */
  renew(): Promise<void>;
}

/** @param world `long`: nothing is left on the server */
export function createOfferBoard(world: {
  readonly api: Pick<ServerApi, 'putDeviceOffer'>;
  readonly offer: DeviceOffer;
  readonly sha256: Sha256;
  readonly long: boolean;
}): OfferBoard {
  const { api, offer, sha256, long } = world;
  const bytes = encodeDeviceOffer(offer);
  const code = linkCodeOf(bytes, sha256);
  let isKept = false;
  let triedAt = 0;
  /** Whether the server took it. */
  const leave = async (): Promise<boolean> => {
    triedAt = performance.now();
    try {
      await api.putDeviceOffer(deviceOfferIdOf(code, sha256), bytes);
      return true;
    } catch (error) {
      // full, too busy, away, or of a version that keeps none: the long code needs no server
      if (error instanceof ProblemError || error instanceof TransportError) return false;
      throw error;
    }
  };
  return {
    put: async () => {
      isKept = !long && (await leave());
      return isKept ? formatLinkCode(code, sha256) : formatDeviceOffer(offer, sha256);
    },
    renew: async () => {
      if (isKept && performance.now() - triedAt > RENEW_MS) await leave();
    },
  };
}
