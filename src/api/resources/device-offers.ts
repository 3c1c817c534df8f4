import { z } from 'zod';
import type { OfferStore } from '../../log/device-offers.ts';
import type { DeviceView } from '../../projections/read-model.ts';
import type { AccountId } from '../../wire/ids.ts';
import type { Limits } from '../../wire/limits.ts';
import { type DeviceOfferId, deviceOfferIdOf, linkCodeOf } from '../../wire/link-code.ts';
import { ProblemError } from '../../wire/problems.ts';
import {
  type DeviceOfferBody,
  deviceOfferBody,
  deviceOfferIdSchema,
  storedOfferSchema,
} from '../../wire/schemas/device-offers.ts';
import type { ApiDeps } from '../deps.ts';
import { notReady } from '../http/problem.ts';
import { answer, type Call, defineRoute, type OfferingDevice } from '../route.ts';
import { sha256 } from '../sha256.ts';

const offerParams = z.strictObject({ id: deviceOfferIdSchema });

const putDeviceOffer = defineRoute({
  method: 'put',
  path: '/v1/device-offers/:id',
  operationId: 'putDeviceOffer',
  summary:
    'Leave the offer of a new device here for some minutes, for a device of the account to fetch. Signed by the key of the new device; again the same: for as long anew.',
  auth: 'offer',
  params: offerParams,
  body: deviceOfferBody,
  answers: { 201: { about: 'It waits.', schema: storedOfferSchema } },
  problems: ['not-found', 'already-exists', 'hash-mismatch', 'storage-full'],
  handle: put,
});

const getDeviceOffer = defineRoute({
  method: 'get',
  path: '/v1/device-offers/:id',
  operationId: 'getDeviceOffer',
  summary: 'The offer of a new device for the account of the calling device.',
  auth: 'device',
  params: offerParams,
  answers: { 200: { about: 'The offer, as it was left.', schema: deviceOfferBody } },
  problems: ['not-found'],
  handle: get,
});

export const deviceOfferRoutes = [putDeviceOffer, getDeviceOffer];

/** Until some of those that wait were forgotten. */
const NO_ROOM_RETRY_SECONDS = 60;

interface OfferParams {
  readonly id: DeviceOfferId;
}

/** An id follows from the offer, so nobody takes the place of another one, and the server need not remember whose it is. */
async function put({
  deps,
  shared,
  params,
  body,
  caller,
  now,
}: Call<OfferParams, undefined, DeviceOfferBody, OfferingDevice>) {
  const offers = storeOf(deps);
  if (deviceOfferIdOf(linkCodeOf(body.offer, sha256), sha256) !== params.id) {
    throw new ProblemError('hash-mismatch', 'the path names another offer');
  }
  const { readModel } = deps;
  const { account } = caller.offer;
  if (readModel.account(account) === undefined) {
    throw new ProblemError('not-found', 'there is no such account');
  }
  if (readModel.device(caller.device) !== undefined || readModel.isRevoked(caller.device)) {
    throw new ProblemError('already-exists', 'this device was added to an account before');
  }
  await shared.gate.pass(async () => {
    await checkRoom(offers, account, params.id, deps.limits);
    await offers.put(account, params.id, body.offer);
  });
  return answer(201, { expires: now + deps.limits.deviceOfferTtlMs });
}

/**
 * Whoever knows an account can leave offers for it: however many one address may leave while they wait, others have room. An
 * offer that is put again has its place. What is on its way at the same moment may go over by itself.
 */
async function checkRoom(
  offers: OfferStore,
  account: AccountId,
  id: DeviceOfferId,
  { deviceOffersPerAccount }: Limits,
): Promise<void> {
  const waiting = await offers.waitingFor(account);
  if (waiting.length < deviceOffersPerAccount || waiting.includes(id)) return;
  throw new ProblemError('rate-limited', 'as many offers as may wait for this account now', {
    retryAfterSeconds: NO_ROOM_RETRY_SECONDS,
  });
}

async function get({ deps, params, caller }: Call<OfferParams, undefined, undefined, DeviceView>) {
  const offer = await storeOf(deps).get(caller.account, params.id);
  if (offer === undefined) {
    throw new ProblemError('not-found', 'no offer of this id waits for your account, or no longer');
  }
  return answer(200, { offer });
}

function storeOf({ offers }: ApiDeps): OfferStore {
  if (offers === undefined) throw notReady('this node keeps no offers of devices');
  return offers;
}
