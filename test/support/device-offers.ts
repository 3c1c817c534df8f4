import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { offerToSign } from '../../src/wire/account-chain.ts';
import { encodeDeviceOffer } from '../../src/wire/device-offer.ts';
import type { AccountId } from '../../src/wire/ids.ts';
import { type DeviceOfferId, deviceOfferIdOf, linkCodeOf } from '../../src/wire/link-code.ts';
import type { Answered, DeviceKey, SignedClient } from './signed-client.ts';

/** An offer of the device that has this key, and its id. */
export function offerOf(
  { publicKey, sign }: DeviceKey,
  account: AccountId,
  label = 'phone',
): { readonly offer: Uint8Array; readonly id: DeviceOfferId } {
  const device = { key: publicKey, label, signatureKeys: [nodeSha256(publicKey)] };
  const offer = encodeDeviceOffer({ account, device, countersignature: sign(offerToSign(account, device)) });
  return { offer, id: deviceOfferIdOf(linkCodeOf(offer, nodeSha256), nodeSha256) };
}

export function putOffer(
  http: SignedClient,
  id: string,
  offer: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  return http.request('PUT', `/v1/device-offers/${id}`, { body: { offer }, headers });
}

export function getOffer(http: SignedClient, id: string): Promise<Answered> {
  return http.request('GET', `/v1/device-offers/${id}`);
}
