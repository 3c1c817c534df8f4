import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeDeviceOffer } from '../../src/wire/device-offer.ts';
import { deviceOfferIdOf, linkCodeOf } from '../../src/wire/link-code.ts';
import { addDevice } from '../support/account-statements.ts';
import { getOffer, offerOf, putOffer } from '../support/device-offers.ts';
import { startServer } from '../support/server.ts';
import { createSignedClient, okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { startTwoNodes } from '../support/two-nodes.ts';
import { until } from '../support/until.ts';
import { useServer } from './support.ts';

const { server, device } = useServer({ limits: { deviceOffersPerMinute: 1_000 } });
const newcomer = () => createSignedClient(() => server().url());

describe('the offer of a new device', () => {
  it('waits for the devices of the account that it names, as it was left, and for nobody else; also across a restart', async () => {
    const [alice, eve] = [await device(), await device()];
    const phone = newcomer();
    const { offer, id } = offerOf(phone.key, alice.account);
    const before = Date.now();
    const left = await putOffer(phone, id, offer);
    expect(left.status).toBe(201);
    expect(okValue(left).expires).toBeGreaterThanOrEqual(before + 15 * 60_000);
    expect(okValue(await getOffer(alice.http, id)).offer).toEqual(offer);
    expect(problemOf(await getOffer(eve.http, id)).code).toBe('not-found');
    expect(problemOf(await getOffer(phone, id)).code).toBe('unauthenticated');
    await server().restart();
    expect(okValue(await getOffer(alice.http, id)).offer).toEqual(offer);
    okValue(await putOffer(phone, id, offer)); // again the same
  });

  it('S8: is left by the key that it is about alone, under the id that follows from it, for an account that is there', async () => {
    const alice = await device();
    const phone = newcomer();
    const { offer, id } = offerOf(phone.key, alice.account);
    const other = offerOf(phone.key, alice.account, 'another');
    expect(problemOf(await putOffer(phone, other.id, offer)).code).toBe('hash-mismatch');
    expect(problemOf(await putOffer(newcomer(), id, offer))).toMatchObject({ reason: 'unknown-key' });
    expect(problemOf(await putOffer(alice.http, id, offer))).toMatchObject({ reason: 'unknown-key' });
    const nobody = offerOf(phone.key, newcomer().key.id as never);
    expect(problemOf(await putOffer(phone, nobody.id, nobody.offer)).code).toBe('not-found');
    for (const bytes of [Uint8Array.of(1), offer.slice(1), new Uint8Array(2_049)]) {
      const named = deviceOfferIdOf(linkCodeOf(bytes, nodeSha256), nodeSha256);
      expect(problemOf(await putOffer(phone, named, bytes)).code).toBe('invalid-request');
    }
    expect(problemOf(await getOffer(alice.http, id)).code).toBe('not-found');
  });

  it('S8: is not taken without the consent of its device to just this account', async () => {
    const [alice, eve] = [await device(), await device()];
    const { key } = newcomer();
    const described = { key: key.publicKey, label: 'phone', signatureKeys: [nodeSha256(key.publicKey)] };
    const forEve = offerOf(key, eve.account).offer;
    const countersignature = forEve.slice(forEve.length - 64);
    const forged = encodeDeviceOffer({ account: alice.account, device: described, countersignature });
    const id = deviceOfferIdOf(linkCodeOf(forged, nodeSha256), nodeSha256);
    const phone = createSignedClient(() => server().url(), key);
    expect(problemOf(await putOffer(phone, id, forged))).toMatchObject({ reason: 'bad-signature' });
  });

  it('is refused once its device was added', async () => {
    const alice = await device();
    const added = await alice.sibling(() => server().url());
    okValue(await addDevice(alice, added));
    const { offer, id } = offerOf(added.http.key, alice.account);
    expect(problemOf(await putOffer(added.http, id, offer)).code).toBe('already-exists');
  });
});

it('D13: an address leaves so many offers a minute, and another address still leaves its own', async () => {
  await using own = await startServer({ behindTlsProxy: true, limits: { deviceOffersPerMinute: 5 } });
  const alice = await TestDevice.register(own.url(), 'alice');
  let refused: string | undefined;
  let taken = 0;
  while (refused === undefined && taken < 50) {
    const stranger = createSignedClient(own.url());
    const { offer, id } = offerOf(stranger.key, alice.account, `device ${taken}`);
    const answered = await putOffer(stranger, id, offer, { 'x-forwarded-for': '192.0.2.1' });
    if (answered.status === 201) taken += 1;
    else refused = problemOf(answered).code;
  }
  expect(refused).toBe('rate-limited');
  expect(taken).toBeGreaterThanOrEqual(5);
  const phone = createSignedClient(own.url());
  const { offer, id } = offerOf(phone.key, alice.account);
  okValue(await putOffer(phone, id, offer, { 'x-forwarded-for': '192.0.2.2' }));
  expect(okValue(await getOffer(alice.http, id)).offer).toEqual(offer);
});

it('D13: whoever has a whole IPv6 network leaves no more offers than one address', async () => {
  await using own = await startServer({ behindTlsProxy: true, limits: { deviceOffersPerMinute: 5 } });
  const alice = await TestDevice.register(own.url(), 'alice');
  const leave = async (address: string) => {
    const stranger = createSignedClient(own.url());
    const { offer, id } = offerOf(stranger.key, alice.account);
    return await putOffer(stranger, id, offer, { 'x-forwarded-for': address });
  };
  let refused: string | undefined;
  for (let host = 1; refused === undefined && host <= 50; host += 1) {
    const answered = await leave(`2001:db8:1:2:${host}::${host}`);
    if (answered.status !== 201) refused = problemOf(answered).code;
  }
  expect(refused).toBe('rate-limited');
  okValue(await leave('2001:db8:1:3::1'));
});

it('D13: so many offers wait for an account at a time, those of another have their own room, and one that waits is put again', async () => {
  await using own = await startServer({ limits: { deviceOffersPerMinute: 1_000, deviceOffersPerAccount: 3 } });
  const [alice, bob] = [await TestDevice.register(own.url(), 'alice'), await TestDevice.register(own.url(), 'bob')];
  const leave = async ({ account }: TestDevice) => {
    const phone = createSignedClient(own.url());
    const made = offerOf(phone.key, account);
    return { ...made, phone, answered: await putOffer(phone, made.id, made.offer) };
  };
  const { phone, id, offer, answered } = await leave(alice);
  okValue(answered);
  for (const _ of [2, 3]) okValue((await leave(alice)).answered);
  const refused = await leave(alice);
  expect(problemOf(refused.answered).code).toBe('rate-limited');
  expect(Number(refused.answered.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(problemOf(await getOffer(alice.http, refused.id)).code).toBe('not-found');
  okValue(await putOffer(phone, id, offer));
  okValue((await leave(bob)).answered);
});

it('an offer is gone after its time', async () => {
  await using own = await startServer({ limits: { deviceOfferTtlMs: 1_000 } });
  const alice = await TestDevice.register(own.url(), 'alice');
  const phone = createSignedClient(own.url());
  const { offer, id } = offerOf(phone.key, alice.account);
  okValue(await putOffer(phone, id, offer));
  await until(async () => (await getOffer(alice.http, id)).status === 404);
});

it('an offer that is left at one node is found at another', async () => {
  await using both = await startTwoNodes();
  const [one, two] = both.nodes;
  const alice = await TestDevice.register(two.url(), 'alice');
  await both.level();
  const phone = createSignedClient(one.url());
  const { offer, id } = offerOf(phone.key, alice.account);
  okValue(await putOffer(phone, id, offer));
  expect(okValue(await getOffer(alice.http, id)).offer).toEqual(offer);
});
