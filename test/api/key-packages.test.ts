import { describe, expect, it } from 'vitest';
import { createKeyPackage, generateSignatureKeys } from '../../src/mls/session/key-package.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import type { ClaimResult } from '../../src/wire/schemas/key-packages.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { suite, TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
const DAY_MS = 24 * 60 * 60 * 1000;

const publish = (by: TestDevice, keyPackages: readonly Uint8Array[], idempotencyKey: string = newId()) =>
  by.http.request('PUT', '/v1/key-packages', { body: { keyPackages }, idempotencyKey });
const stock = async (of: TestDevice) => okValue(await of.http.request('GET', '/v1/key-packages'));

describe('key packages', () => {
  it('D9: each bad package is refused with its reason, and the good ones beside it are stored', async () => {
    const alice = await device(undefined, 0);
    const stranger = await device();
    const { identity, keys } = alice;
    const base = { identity, keys, now: Date.now(), lifetimeMs: DAY_MS, lastResort: false };
    const good = await createKeyPackage(suite, base);
    const expired = await createKeyPackage(suite, { ...base, now: Date.now() - 3 * DAY_MS });
    const otherKeys = await createKeyPackage(suite, { ...base, keys: await generateSignatureKeys(suite) });
    const somebodyElse = await createKeyPackage(suite, { ...base, identity: stranger.identity });
    const badSignature = good.bytes.slice();
    badSignature[badSignature.length - 1]! ^= 1;
    const answered = await publish(alice, [
      good.bytes,
      expired.bytes,
      otherKeys.bytes,
      somebodyElse.bytes,
      badSignature,
      Uint8Array.of(1, 2, 3),
      good.bytes,
    ]);
    expect(okValue(answered)).toEqual({
      stored: 1,
      refused: [
        { index: 1, reason: 'expired' },
        { index: 2, reason: 'unknown-signature-key' },
        { index: 3, reason: 'wrong-identity' },
        { index: 4, reason: 'bad-signature' },
        { index: 5, reason: 'malformed' },
        { index: 6, reason: 'already-published' },
      ],
      stock: { available: 1, lastResort: true },
    });
  });

  it('D16: publishing again with the same key stores nothing more and gives the first answer, also after a restart', async () => {
    const alice = await device(undefined, 0);
    const key = newId();
    const packages = [...(await alice.makePackages(3, false)), Uint8Array.of(9)];
    const first = okValue(await publish(alice, packages, key));
    expect(first).toMatchObject({ stored: 3, refused: [{ index: 3, reason: 'malformed' }] });
    expect(okValue(await publish(alice, packages, key))).toEqual(first);
    await server().restart();
    expect(okValue(await publish(alice, packages, key))).toEqual(first);
    expect(problemOf(await publish(alice, packages.slice(1), key)).code).toBe('idempotency-conflict');
  });

  it('D13: a device has at most a hundred packages in stock and one last resort', async () => {
    const alice = await device(undefined, 0);
    okValue(await publish(alice, await alice.makePackages(98, false)));
    const answered = okValue(
      await publish(alice, [...(await alice.makePackages(4)), (await alice.makePackage(true)).bytes]),
    );
    expect(answered).toEqual({
      stored: 3,
      refused: [
        { index: 2, reason: 'stock-full' },
        { index: 3, reason: 'stock-full' },
        { index: 5, reason: 'second-last-resort' },
      ],
      stock: { available: 100, lastResort: true },
    });
  });
});

describe('claims', () => {
  it('D8: every one-time package is handed out once, then the last resort, flagged, then nothing', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const bob = await device(undefined, 3);
    const claims = await Promise.all(Array.from({ length: 8 }, () => alice.claim(group, [bob.account])));
    const results = claims.map((answered) => okValue(answered).results[0] as ClaimResult);
    const oneTime = results.filter(({ lastResort }) => lastResort === false);
    expect(new Set(oneTime.map(({ keyPackage }) => toHex(keyPackage!))).size).toBe(3);
    expect(oneTime).toHaveLength(3);
    expect(results.filter(({ lastResort }) => lastResort === true)).toHaveLength(5);
    expect(await stock(bob)).toEqual({ available: 0, lastResort: true });

    const carol = await TestDevice.create(() => server().url(), 'without-a-last-resort');
    okValue(await carol.postRegistration(await carol.makePackages(1, false)));
    expect(okValue(await alice.claim(group, [carol.account])).results).toMatchObject([{ lastResort: false }]);
    const nothing = { account: carol.account, device: carol.id, problem: 'exhausted' };
    expect(okValue(await alice.claim(group, [carol.account])).results).toEqual([nothing]);
  });

  it('say for each account what there is: a package, nothing left, or nobody', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const bob = await device();
    const nobody = 'a'.repeat(32);
    const { results } = okValue(await alice.claim(group, [bob.account, nobody, alice.account]));
    expect(results).toMatchObject([
      { account: bob.account, device: bob.id, lastResort: false },
      { account: nobody, problem: 'not-found' },
      { account: alice.account, device: alice.id },
    ]);
    expect(results[2]).not.toHaveProperty('keyPackage');
  });

  it('D16: the same claim again gives the same packages, also after a restart', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const [bob, carol] = [await device(), await device()];
    const key = newId();
    const first = okValue(await alice.claim(group, [bob.account, carol.account], key));
    expect(okValue(await alice.claim(group, [bob.account, carol.account], key))).toEqual(first);
    await server().restart();
    expect(okValue(await alice.claim(group, [bob.account, carol.account], key))).toEqual(first);
    expect(await stock(bob)).toMatchObject({ available: 1 });
    expect(problemOf(await alice.claim(group, [bob.account], key)).code).toBe('idempotency-conflict');
  });

  it('D8: are for members who may add, for a group of theirs', async () => {
    const [alice, bob, eve] = [await device(), await device(), await device()];
    const group = await alice.createGroup();
    await alice.invite(group, bob);
    expect(problemOf(await eve.claim(group, [alice.account])).code).toBe('not-found');
    expect(problemOf(await bob.claim(group, [eve.account])).code).toBe('forbidden');
    expect(await stock(eve)).toMatchObject({ available: 2 });
  });

  it('D8: are limited a requester and a target', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const claims = Array.from({ length: DEFAULT_LIMITS.claimsPerMinute + 30 }, () =>
      alice.claim(group, ['a'.repeat(32)]),
    );
    const answers = await Promise.all(claims);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

    const bob = await device();
    const rivals = await Promise.all(
      [0, 1].map(async () => {
        const rival = await device();
        return { rival, group: await rival.createGroup() };
      }),
    );
    const answered = await Promise.all(
      rivals.flatMap(({ rival, group: own }) =>
        Array.from({ length: DEFAULT_LIMITS.claimsPerMinute }, () => rival.claim(own, [bob.account])),
      ),
    );
    const problems = answered.flatMap(({ status, value }) => (status === 200 ? [value.results[0].problem] : []));
    expect(problems).toContain('rate-limited');
  });

  it('D8: cost as much as they name accounts, however few the requests; the same one again costs no more', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const some = await Promise.all([device(), device(), device()]);
    const names = some.map(({ account }) => account);
    const key = newId();
    const first = okValue(await alice.claim(group, names, key));
    for (let i = 0; i < 5; i += 1) expect(okValue(await alice.claim(group, names, key))).toEqual(first);
    const letters = 'abcdefghij';
    const strangers = Array.from(
      { length: DEFAULT_LIMITS.claimAccountsPerRequest },
      (_, i) => 'b'.repeat(30) + letters[Math.floor(i / 10)] + letters[i % 10],
    );
    okValue(await alice.claim(group, strangers));
    const refused = await alice.claim(group, names);
    expect(problemOf(refused)).toMatchObject({ code: 'rate-limited', status: 429 });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(1);
  });

  it('D9: low stock is signalled to the owner, and so is a used last resort', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const bob = await device(undefined, 1);
    okValue(await alice.claim(group, [bob.account]));
    okValue(await alice.claim(group, [bob.account]));
    const lows = (await bob.syncAll()).filter(({ kind }) => kind === 'key-packages-low');
    expect(lows.at(-1)).toMatchObject({ payload: { available: 0, lastResortUsed: true } });
  });
});
