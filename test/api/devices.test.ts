import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { foldAccountChain } from '../../src/wire/account-chain.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { addDevice, described, headOf, rename, revoke, signStatement } from '../support/account-statements.ts';
import { createDeviceKey, newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { pathOf, suite, TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
const url = () => server().url();
const crypto = {
  sha256: nodeSha256,
  verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    suite.signature.verify(key, message, signature),
};

const accountOf = async (by: TestDevice, id = by.account) =>
  okValue(await by.http.request('GET', `/v1/accounts/${id}`));
const linked = async (alice: TestDevice): Promise<TestDevice> => {
  const phone = await alice.sibling(url);
  okValue(await addDevice(alice, phone));
  return phone;
};

describe('renaming', () => {
  it('gives the new name to the account and frees the old one, and the history of it all folds', async () => {
    const alice = await device('ada');
    const { account } = okValue(await rename(alice, 'Adele'));
    expect(account).toMatchObject({ id: alice.account, name: 'Adele', statements: [{}, {}] });
    expect(await foldAccountChain(account.statements, crypto)).toMatchObject({ ok: true, chain: { name: 'Adele' } });
    expect(problemOf(await alice.http.request('GET', '/v1/accounts?name=ada')).code).toBe('not-found');
    const other = await device('ada');
    expect((await accountOf(other)).name).toBe('ada');
    expect(problemOf(await rename(alice, 'ADA')).code).toBe('name-taken');
    expect(okValue(await rename(alice, 'adele')).account.name).toBe('adele'); // the same name in other letters
  });

  it('S3: of a rename and a registration of one name at once, one wins', async () => {
    for (let round = 0; round < 4; round += 1) {
      const name = `wanted-${round}`;
      const [alice, other] = [await device(), await TestDevice.create(url, name)];
      const answers = await Promise.all([rename(alice, name), other.postRegistration()]);
      expect(answers.map(({ status }) => status === 409).sort()).toEqual([false, true]);
      const holder = okValue(await (await device()).http.request('GET', `/v1/accounts?name=${name}`)).id;
      expect(holder).toBe(answers[0].status === 200 ? alice.account : other.account);
    }
  });

  it('D16: the same request again gets the first answer; a statement that was overtaken is an account-conflict', async () => {
    const alice = await device();
    const options = { account: alice.account, previous: await headOf(alice), by: alice.http.key };
    const body = signStatement({ type: 'rename', name: 'twice' }, options);
    const send = (idempotencyKey: string) => alice.http.request('PATCH', '/v1/accounts/me', { body, idempotencyKey });
    const key = newId();
    const first = okValue(await send(key));
    expect(okValue(await send(key))).toEqual(first);
    expect(problemOf(await send(newId()))).toMatchObject({ code: 'account-conflict', status: 409 });
  });

  it('of two statements at once that follow the same one, one is taken, whatever lanes they are on', async () => {
    const alice = await device();
    const phone = await linked(alice);
    const answers = await Promise.all([rename(alice, 'at-once'), revoke(phone, alice.id)]);
    const account = await accountOf(phone);
    expect(await foldAccountChain(account.statements, crypto)).toMatchObject({ ok: true });
    const taken = answers.filter(({ status }) => status === 200).length;
    expect(account.statements).toHaveLength(2 + taken);
    expect(taken).toBeGreaterThan(0);
  });
});

describe('devices', () => {
  it('S8: a device is added by the word of a valid device and its own, and by nothing less', async () => {
    const alice = await device();
    const [phone, mallory] = [await alice.sibling(url), await device()];
    const previous = await headOf(alice);
    const kind = { type: 'add-device', device: described(phone) } as const;
    const post = (by: TestDevice, body: object) =>
      by.http.request('POST', '/v1/accounts/me/devices', { body, idempotencyKey: newId() });
    const make = (by: TestDevice, consent = phone) =>
      signStatement(kind, { account: alice.account, previous, by: by.http.key, consent: consent.http.key });
    const own = make(alice);

    expect(problemOf(await post(mallory, { ...own, keyPackages: [] })).code).toBe('account-conflict'); // not her chain
    expect(problemOf(await post(alice, { ...make(mallory), keyPackages: [] })).code).toBe('forbidden');
    expect(problemOf(await post(alice, { ...make(alice, mallory), keyPackages: [] })).code).toBe('forbidden');
    const unknown = await post(phone, { ...own, keyPackages: [] });
    expect(problemOf(unknown)).toMatchObject({ code: 'unauthenticated', reason: 'unknown-key' });
    const added = okValue(await post(alice, { ...own, keyPackages: await phone.makePackages(2) }));
    expect(added.account.devices.map(({ label }: { label: string }) => label)).toEqual(['test', 'phone']);
    expect(added.keyPackages.stock).toEqual({ available: 2, lastResort: true });
    expect(okValue(await phone.http.request('GET', '/v1/key-packages')).available).toBe(2);
    const again = { ...make(alice), ...{}, keyPackages: [] };
    expect(problemOf(await post(alice, again)).code).toBe('already-exists');
  });

  it('a device key is of one account for ever: no other account takes it, revoked or not', async () => {
    const [alice, bob] = [await device(), await device()];
    const phone = await linked(alice);
    const mine = await TestDevice.create(url, phone.name, 'localhost', phone.http.key, { account: bob.account });
    expect(problemOf(await addDevice(bob, mine)).code).toBe('already-exists');
    okValue(await revoke(alice, phone.id));
    expect(problemOf(await addDevice(bob, mine)).code).toBe('already-exists');
    const again = await TestDevice.create(url, 'phone-again', 'localhost', phone.http.key);
    const { lastSequence } = await server().running().log.describe();
    expect(problemOf(await again.postRegistration()).code).toBe('already-exists');
    expect((await server().running().log.describe()).lastSequence).toBe(lastSequence);
  });

  it('a revoked device gets nothing any more: requests, stream, claims; and the last one cannot be revoked', async () => {
    const [alice, bob] = [await device(), await device()];
    const phone = await linked(alice);
    const group = await bob.createGroup();
    const stream = await phone.http.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
    const poll = phone.http.request('GET', `/v1/sync?cursor=${(await phone.syncPage()).cursor}&wait=60`);

    okValue(await revoke(alice, phone.id));
    expect((await follow(stream.body!, () => false)).closing?.reason).toBeDefined();
    expect((await poll).status).not.toBe(200);
    const refused = await phone.http.request('GET', '/v1/key-packages');
    expect(problemOf(refused)).toMatchObject({ code: 'unauthenticated', status: 401, reason: 'revoked' });
    const { results } = okValue(await bob.claim(group, [alice.account]));
    expect(results.map((result: { device: string }) => result.device)).toEqual([alice.id]);
    expect((await accountOf(bob, alice.account)).devices).toHaveLength(1);
    expect(problemOf(await revoke(alice, alice.id)).code).toBe('forbidden');
    expect(problemOf(await revoke(alice, phone.id)).code).toBe('forbidden');
  });

  it('a key package that was claimed before its device was revoked does not get it into a group', async () => {
    const [alice, bob] = [await device(), await device()];
    const phone = await linked(alice);
    const group = await bob.createGroup();
    const { results } = okValue(await bob.claim(group, [alice.account]));
    const add = results.map((result: { keyPackage: Uint8Array }) => result.keyPackage);
    okValue(await revoke(alice, phone.id));
    const made = await bob.prepareCommit(group, { add });
    expect(problemOf(await bob.postCommit(group, made))).toMatchObject({
      code: 'invalid-commit',
      reason: 'unknown-signature-key',
    });
  });

  it('any member may remove the leaf of a revoked device, and add a device of its own account; nothing else', async () => {
    const [alice, bob, carol] = [await device(), await device(), await device()];
    const group = await alice.createGroup();
    await alice.invite(group, bob, carol);
    await Promise.all([bob.catchUp(), carol.catchUp()]);
    const phone = await linked(bob);
    await bob.catchUp();
    const { results } = okValue(await bob.claim(group, [bob.account]));
    const add = results.flatMap(({ keyPackage }: { keyPackage?: Uint8Array }) => keyPackage ?? []);
    await bob.commit(group, { add });
    await Promise.all([alice.catchUp(), carol.catchUp(), phone.catchUp()]);
    const leaf = carol.leafOf(group, phone);
    const early = await carol.prepareCommit(group, { remove: [leaf] });
    expect(problemOf(await carol.postCommit(group, early))).toMatchObject({ reason: 'forbidden' });
    okValue(await revoke(bob, phone.id));
    await carol.catchUp();
    expect((await carol.commit(group, { remove: [leaf] })).epoch).toBe(3);
    expect(problemOf(await carol.claim(group, [alice.account, bob.account])).code).toBe('forbidden');
  });

  it('D18: a new device of a member’s account joins its groups from outside, one of nobody’s does not', async () => {
    const [alice, bob, eve] = [await device(), await device(), await device()];
    const group = await alice.createGroup();
    await alice.invite(group, bob);
    const phone = await linked(bob);
    const { groups } = okValue(await phone.http.request('GET', '/v1/groups?of=account'));
    expect(groups.map(({ group: id }: { group: Uint8Array }) => toBase64Url(id))).toEqual([toBase64Url(group)]);
    expect(okValue(await phone.http.request('GET', '/v1/groups')).groups).toEqual([]);
    const joined = await phone.prepareExternal(group, false);
    okValue(await phone.postCommit(group, joined));
    expect(problemOf(await eve.http.request('GET', `${pathOf(group)}/group-info`)).code).toBe('not-found');
    await alice.catchUp();
    expect(alice.epoch(group)).toBe(2);
  });
});

describe('S5: everybody concerned sees every change', () => {
  it('as one entry in each group of the account, at one place of the chain, and in the inbox of its own devices', async () => {
    const [alice, bob, carol] = [await device(), await device(), await device()];
    const [tea, ink] = [await alice.createGroup(), await bob.createGroup()];
    await alice.invite(tea, bob);
    await bob.invite(ink, carol);
    for (const each of [alice, bob, carol]) await each.syncAll();
    const phone = await linked(bob);
    okValue(await rename(bob, 'robert'));
    okValue(await revoke(bob, phone.id));

    const seen = await Promise.all([alice, bob, carol].map((each) => each.syncAll()));
    const statements = (await accountOf(alice, bob.account)).statements
      .slice(1)
      .map(({ statement }: { statement: Uint8Array }) => statement);
    const [hers, his, carols] = seen;
    const account = (entries: typeof hers) =>
      (entries ?? []).flatMap((entry) => (entry.kind === 'account' ? [entry] : []));
    expect(account(hers).map(({ payload }) => payload.statement)).toEqual(statements);
    expect(account(hers)).toMatchObject([3, 4, 5].map((position) => ({ position, group: tea, sender: bob.id })));
    expect(account(carols)).toMatchObject([3, 4, 5].map((position) => ({ position, group: ink })));
    expect(account(his)).toHaveLength(9); // both groups and the inbox, for each of three
    expect(account(his).filter((entry) => !('position' in entry))).toHaveLength(3);
  });
});

describe('recovery', () => {
  it('S8: the recovery key alone brings a new device in, which then revokes the lost one', async () => {
    const recovery = createDeviceKey();
    const lost = await TestDevice.create(url, 'lost-and-found', 'localhost', undefined, {
      recoveryKey: recovery.publicKey,
    });
    okValue(await lost.postRegistration(await lost.makePackages(1)));
    const fresh = await lost.sibling(url);
    const previous = await headOf(fresh); // anybody who knows the id may read the history
    const kind = { type: 'add-device', device: described(fresh, 'new') } as const;
    const recover = async (signed: object) => {
      const body = { ...signed, keyPackages: await fresh.makePackages(1) };
      const target = `/v1/accounts/${lost.account}/recoveries`;
      return fresh.http.request('POST', target, { body, idempotencyKey: newId() });
    };
    const { account } = lost;
    const consent = fresh.http.key;
    const thief = signStatement(kind, { account, previous, by: createDeviceKey(), recovery: true, consent });
    expect(problemOf(await recover(thief)).code).toBe('forbidden');
    const own = signStatement(kind, { account, previous, by: fresh.http.key, consent });
    expect(problemOf(await recover(own)).code).toBe('forbidden');
    const signed = signStatement(kind, { account, previous, by: recovery, recovery: true, consent });
    expect(okValue(await recover(signed)).account.devices).toHaveLength(2);
    okValue(await revoke(fresh, lost.id));
    expect(problemOf(await lost.http.request('GET', '/v1/groups')).reason).toBe('revoked');
  });
});

describe('limits', () => {
  it('D13: an account that changes too often is asked to wait', async () => {
    await using busy = await (await import('../support/server.ts')).startServer({
      limits: { accountChangesPerHour: 2 },
    });
    const alice = await TestDevice.register(() => busy.url(), 'fickle');
    okValue(await rename(alice, 'fickle-1'));
    okValue(await rename(alice, 'fickle-2'));
    expect(problemOf(await rename(alice, 'fickle-3')).code).toBe('rate-limited');
  });
});
