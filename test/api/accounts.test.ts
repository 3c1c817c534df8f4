import { describe, expect, it } from 'vitest';
import { createDeviceKeys, isSignedBy } from '../../src/api/auth/device-keys.ts';
import { statementToSign } from '../../src/wire/account-statement.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
const url = () => server().url();

describe('accounts', () => {
  it('registers a name with its device and packages, and gives it to whoever looks for it by name or id', async () => {
    const alice = await TestDevice.create(url, 'alice');
    const answered = await alice.postRegistration(await alice.makePackages(2));
    expect(answered.status).toBe(201);
    const { account, keyPackages } = okValue(answered);
    expect(keyPackages).toEqual({ stored: 3, refused: [], stock: { available: 2, lastResort: true } });
    expect(account).toMatchObject({ id: alice.account, name: 'alice', devices: [{ id: alice.id, label: 'test' }] });

    const bob = await device();
    for (const target of ['/v1/accounts?name=alice', '/v1/accounts?name=ALICE', `/v1/accounts/${alice.account}`]) {
      expect(okValue(await bob.http.request('GET', target))).toEqual(account);
    }
    expect(problemOf(await bob.http.request('GET', '/v1/accounts?name=nobody')).code).toBe('not-found');
    expect(problemOf(await bob.http.request('GET', `/v1/accounts/${'a'.repeat(32)}`)).code).toBe('not-found');
  });

  it('shows the signed statement that the account’s id is made of', async () => {
    const dave = await device();
    const [shown] = okValue(await dave.http.request('GET', `/v1/accounts/${dave.account}`)).statements;
    expect(shown.statement).toEqual(dave.registration.statement);
    const key = createDeviceKeys().get(dave.http.key.publicKey);
    expect(isSignedBy(key, statementToSign(shown.statement), shown.signature)).toBe(true);
    expect(decodeCbor(shown.statement)).toMatchObject({ type: 'register', name: dave.name });
  });

  it('S3: a name that somebody holds cannot be registered by other keys, however it is written', async () => {
    const carol = await device('carol');
    const impostor = await TestDevice.create(url, 'CAROL');
    expect(problemOf(await impostor.postRegistration())).toMatchObject({ code: 'name-taken', status: 409 });
    expect(okValue(await carol.http.request('GET', '/v1/accounts?name=Carol')).id).toBe(carol.account);
  });

  it('gives a name to exactly one of many that register it at once', async () => {
    const rivals = await Promise.all(Array.from({ length: 8 }, () => TestDevice.create(url, 'wanted')));
    const answers = await Promise.all(rivals.map((rival) => rival.postRegistration()));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(7).fill(409)]);
    for (const answered of answers) if (answered.status === 409) expect(problemOf(answered).code).toBe('name-taken');
  });

  it('D16: registering twice with one key gives one account and one answer', async () => {
    const erin = await TestDevice.create(url, 'erin');
    const packages = await erin.makePackages(1);
    const key = newId();
    const [first, second] = await Promise.all([
      erin.postRegistration(packages, key),
      erin.postRegistration(packages, key),
    ]);
    expect(second.status).toBe(201);
    expect(second.value).toEqual(first.value);
    expect((await erin.postRegistration(packages, key)).value).toEqual(first.value);
    expect(problemOf(await erin.postRegistration([], key)).code).toBe('idempotency-conflict');
    expect(problemOf(await erin.postRegistration(packages)).code).toBe('already-exists');
  });

  it('refuses a statement that is not the signer’s own, not for this domain, or not well-formed', async () => {
    const victim = await TestDevice.create(url, 'victim');
    const thief = await TestDevice.create(url, 'thief');
    const send = (body: unknown, by = thief) =>
      by.http.request('POST', '/v1/accounts', { body, idempotencyKey: newId() });

    const stolen = problemOf(await send({ ...victim.registration, keyPackages: [] }));
    expect(stolen).toMatchObject({ code: 'unauthenticated', reason: 'unknown-key' });
    const unsigned = { ...thief.registration, signature: new Uint8Array(64), keyPackages: [] };
    expect(problemOf(await send(unsigned))).toMatchObject({ code: 'unauthenticated', reason: 'bad-signature' });
    const garbage = { ...thief.registration, statement: Uint8Array.of(1, 2, 3), keyPackages: [] };
    expect(problemOf(await send(garbage)).code).toBe('invalid-request');
    const foreign = await TestDevice.create(url, 'foreign', 'elsewhere.example');
    expect(problemOf(await foreign.postRegistration()).code).toBe('invalid-request');
  });
});
