import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { useServer } from '../api/support.ts';
import { addDevice, described, headOf, rename, revoke, signStatement } from '../support/account-statements.ts';
import { BareClient } from '../support/bare-client.ts';
import { startServer } from '../support/server.ts';
import { openSession, withSession } from '../support/session-client.ts';
import { createDeviceKey, createSignedClient, newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';

const { server, device } = useServer();
/** Longer than a few requests take on a slow machine, shorter than a signature stays fresh. */
const SESSION_MS = 30_000;
const url = () => server().url();
const code = async (answered: Parameters<typeof problemOf>[0] | Promise<Parameters<typeof problemOf>[0]>) =>
  problemOf(await answered).code;
const reason = async (answered: Promise<Parameters<typeof problemOf>[0]>) => problemOf(await answered).reason;
const stateOf = async (by: TestDevice) => okValue(await by.http.request('GET', `/v1/accounts/${by.account}`));

describe('S3: an account is taken over', () => {
  it('by no registration: not of its key by others, not of its own statement again, not of its name', async () => {
    const [alice, eve] = [await device('take-me'), await device()];
    const before = await stateOf(alice);
    const register = (by: TestDevice, statement: Uint8Array, signature: Uint8Array) =>
      by.http.request('POST', '/v1/accounts', {
        body: { statement, signature, keyPackages: [] },
        idempotencyKey: newId(),
      });
    const { statement, signature } = alice.registration;
    expect(await reason(register(eve, statement, signature))).toBe('unknown-key');
    const impostor = createSignedClient(url, { ...createDeviceKey(), id: alice.id });
    const asAlice = impostor.request('POST', '/v1/accounts', {
      body: { statement, signature, keyPackages: [] },
      idempotencyKey: newId(),
    });
    expect(await reason(asAlice)).toBe('bad-signature');
    expect(await code(register(alice, statement, signature))).toBe('already-exists');
    // another account of the same device key, and the signature of another statement
    const twin = await TestDevice.create(url, 'twin', 'localhost', alice.http.key);
    expect(await code(twin.postRegistration())).toBe('already-exists');
    const fresh = await TestDevice.create(url, 'fresh');
    expect(await reason(register(fresh, fresh.registration.statement, signature))).toBe('bad-signature');
    for (const name of ['take-me', 'TAKE-ME', 'ｔａｋｅ-ｍｅ']) {
      const other = await TestDevice.create(url, name.normalize('NFKC'));
      expect(await code(other.postRegistration())).toBe('name-taken');
    }
    expect(await stateOf(alice)).toEqual(before);
  });

  it('by no statement of somebody else, nor by one of its own that was overtaken', async () => {
    const [alice, eve] = [await device(), await device()];
    const { account } = alice;
    const send = (by: TestDevice, method: string, path: string, body: object) =>
      by.http.request(method, `/v1/accounts/me${path}`, { body, idempotencyKey: newId() });
    const previous = await headOf(alice);
    const byEve = signStatement({ type: 'rename', name: 'eves' }, { account, previous, by: eve.http.key });
    expect(await code(send(eve, 'PATCH', '', byEve))).toBe('account-conflict'); // of her account it is not
    expect(await code(send(alice, 'PATCH', '', byEve))).toBe('forbidden');
    const inHerName = { ...eve.http.key, id: alice.id };
    const forged = signStatement({ type: 'rename', name: 'eves' }, { account, previous, by: inHerName });
    expect(await code(send(alice, 'PATCH', '', forged))).toBe('forbidden');
    const gone = signStatement({ type: 'revoke-device', device: alice.id }, { account, previous, by: inHerName });
    expect(await code(send(eve, 'DELETE', `/devices/${alice.id}`, gone))).toBe('account-conflict');
    const old = signStatement({ type: 'rename', name: 'old-name' }, { account, previous, by: alice.http.key });
    okValue(await rename(alice, 'newer-name'));
    expect(await code(send(alice, 'PATCH', '', old))).toBe('account-conflict');
    expect((await stateOf(alice)).name).toBe('newer-name');
  });

  it('S8: by no device without proof: signed by a device of others, by the new one alone, or by one that was revoked', async () => {
    const [alice, eve] = [await device(), await device()];
    const { account } = alice;
    const phone = await alice.sibling(url);
    okValue(await addDevice(alice, phone));
    const ghost = await alice.sibling(url);
    const kind = { type: 'add-device', device: described(ghost) } as const;
    const consent = ghost.http.key;
    const previous = await headOf(alice);
    const post = (by: TestDevice, signed: object) =>
      by.http.request('POST', '/v1/accounts/me/devices', {
        body: { ...signed, keyPackages: [] },
        idempotencyKey: newId(),
      });
    for (const by of [eve.http.key, consent, { ...consent, id: alice.id }]) {
      expect(await code(post(alice, signStatement(kind, { account, previous, by, consent })))).toBe('forbidden');
    }
    const alone = signStatement(kind, { account, previous, by: alice.http.key });
    expect(await code(post(alice, alone))).toBe('invalid-request'); // nobody has asked the ghost
    // the phone signs before it is revoked, and again after it
    const early = signStatement(kind, { account, previous, by: phone.http.key, consent });
    const session = await openSession(url, phone.http);
    okValue(await revoke(alice, phone.id));
    expect(await code(post(alice, early))).toBe('account-conflict');
    const late = signStatement(kind, { account, previous: await headOf(alice), by: phone.http.key, consent });
    expect(await code(post(alice, late))).toBe('forbidden');
    expect(await reason(post(phone, late))).toBe('revoked');
    expect(await reason(session.request('GET', '/v1/sync'))).toBe('revoked');
    expect(
      await reason(phone.http.request('POST', '/v1/sessions', { body: { key: new Uint8Array(32).fill(9) } })),
    ).toBe('revoked');
    expect((await stateOf(alice)).devices.map(({ id }: { id: string }) => id)).toEqual([alice.id]);
  });
});

describe('S3: a session', () => {
  it('of another device, changed, or put together of two does not open anything', async () => {
    const [alice, eve] = [await device(), await device()];
    const [hers, evil] = [await openSession(url, alice.http), await openSession(url, eve.http)];
    const swapped = withSession(url, { ticket: hers.ticket, macKey: evil.macKey }, eve.http);
    expect(await reason(swapped.request('GET', '/v1/groups'))).toBe('bad-signature');
    const bytes = Buffer.from(hers.ticket, 'base64url');
    const other = Buffer.from(evil.ticket, 'base64url');
    const tickets = [
      Buffer.concat([bytes.subarray(0, 12), other.subarray(12)]),
      Buffer.concat([other.subarray(0, -16), bytes.subarray(-16)]),
      bytes.subarray(0, -1),
      Buffer.alloc(64),
    ].map((ticket) => ticket.toString('base64url'));
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      tickets.push(changed.toString('base64url'));
    }
    for (const ticket of tickets) {
      const forged = withSession(url, { ticket, macKey: hers.macKey }, alice.http);
      expect(await reason(forged.request('GET', '/v1/groups'))).toBe('session-expired');
    }
    // the device id in place of the ticket, the ticket as a device key
    const mixed = withSession(url, { ticket: alice.id, macKey: hers.macKey }, alice.http);
    expect(await reason(mixed.request('GET', '/v1/groups'))).toBe('session-expired');
    const named = alice.http.request('GET', '/v1/groups', { parameters: { keyid: hers.ticket } });
    expect(await reason(named)).toBe('unknown-key');
    okValue(await hers.request('GET', '/v1/groups'));
  });

  it('does nothing to accounts, devices or sessions, and ends with its time', async () => {
    const clock = { offsetMs: 0 };
    await using short = await startServer({ clock, limits: { sessionTtlMs: SESSION_MS } });
    const alice = await TestDevice.register(short.url(), 'alice');
    const session = await openSession(short.url(), alice.http);
    const body = signStatement(
      { type: 'rename', name: 'mallory' },
      { account: alice.account, previous: await headOf(alice), by: alice.http.key },
    );
    const idempotencyKey = newId();
    for (const [method, path, value] of [
      ['PATCH', '/v1/accounts/me', body],
      ['POST', '/v1/accounts/me/devices', { ...body, keyPackages: [] }],
      ['DELETE', `/v1/accounts/me/devices/${alice.id}`, body],
      ['POST', `/v1/accounts/${alice.account}/recoveries`, { ...body, keyPackages: [] }],
      ['POST', '/v1/accounts', { ...alice.registration, keyPackages: [] }],
      ['POST', '/v1/sessions', { key: new Uint8Array(32).fill(9) }],
    ] as const) {
      const answered = session.request(method, path, { body: value, idempotencyKey });
      expect([path, await reason(answered)]).toEqual([path, 'device-key-required']);
    }
    okValue(await session.request('GET', '/v1/groups'));
    clock.offsetMs = SESSION_MS;
    expect(await reason(session.request('GET', '/v1/groups'))).toBe('session-expired');
  });

  it('of another domain with the same secret is none here', async () => {
    const secretFile = `${server().folder}/secret`;
    await using other = await startServer({ domain: 'other.example', secretFile });
    const abroad = await TestDevice.register(other.url(), 'abroad', { domain: 'other.example' });
    const session = await openSession(other.url(), abroad.http);
    okValue(await session.request('GET', '/v1/groups'));
    const here = withSession(url, session, abroad.http);
    expect(await reason(here.request('GET', '/v1/groups'))).toBe('session-expired');
  });
});

describe('S3: a signature', () => {
  it('of another path, query, method, host or body is none of this request', async () => {
    const alice = await device();
    const session = await openSession(url, alice.http);
    for (const http of [alice.http, session]) {
      const taken = async (method: string, target: string, body?: object): Promise<Record<string, string>> => {
        let headers: Record<string, string> = {};
        const tamper = (made: Record<string, string>) => {
          headers = { ...made };
        };
        const never = AbortSignal.abort(); // captured, never sent
        const more = body === undefined ? {} : { body, idempotencyKey: newId() };
        await http.fetch(method, target, { tamper, signal: never, ...more }).catch(() => undefined);
        return headers;
      };
      const use = async (method: string, target: string, headers: Record<string, string>, body?: string) => {
        const response = await fetch(`${url()}${target}`, { method, headers, ...(body === undefined ? {} : { body }) });
        return [response.status, ((await response.json()) as { reason?: string }).reason];
      };
      const headers = await taken('GET', '/v1/groups?of=account');
      expect(await use('GET', '/v1/key-packages', headers)).toEqual([401, 'bad-signature']);
      expect(await use('GET', '/v1/groups', headers)).toEqual([401, 'bad-signature']);
      expect(await use('GET', '/v1/groups?of=account&of=account', headers)).toEqual([401, 'bad-signature']);
      const body = await taken('PUT', '/v1/key-packages', { keyPackages: [Uint8Array.of(1)] });
      expect(await use('PUT', '/v1/key-packages', body, 'other')).toEqual([401, 'bad-digest']);
      const digest = `sha-256=:${Buffer.from(nodeSha256(new TextEncoder().encode('other'))).toString('base64')}:`;
      expect(await use('PUT', '/v1/key-packages', { ...body, 'content-digest': digest }, 'other')).toEqual([
        401,
        'bad-signature',
      ]);
      const { 'content-digest': _, ...bare } = body;
      expect(await use('PUT', '/v1/key-packages', bare, 'other')).toEqual([401, 'malformed']);
    }
  });
});

it('D13: strangers use up nothing of what an account may change', async () => {
  await using busy = await startServer({ limits: { accountChangesPerHour: 2 } });
  const at = () => busy.url();
  const alice = await TestDevice.register(at, 'alice');
  const ghost = await alice.sibling(at);
  const kind = { type: 'add-device', device: described(ghost) } as const;
  const consent = ghost.http.key;
  for (let i = 0; i < 5; i += 1) {
    const options = { account: alice.account, previous: await headOf(alice), by: createDeviceKey(), consent };
    const body = { ...signStatement(kind, { ...options, recovery: true }), keyPackages: [] };
    const target = `/v1/accounts/${alice.account}/recoveries`;
    expect(await code(ghost.http.request('POST', target, { body, idempotencyKey: newId() }))).toBe('forbidden');
  }
  okValue(await rename(alice, 'still-alice'));
});

it('D21: who commits garbage and then revokes its device is reported all the same', async () => {
  const [alice, bob] = [await device(), await device()];
  const group = await alice.createGroup();
  const phone = await alice.sibling(url);
  okValue(await addDevice(alice, phone));
  await alice.invite(group, bob);
  const outside = await phone.prepareExternal(group, false);
  const { position } = okValue(await phone.postCommit(group, outside));
  okValue(await revoke(alice, phone.id));
  const body = {
    epoch: 1,
    position: position as number,
    commit: nodeSha256(outside.commit),
    reason: 'cannot-process',
    code: 'invalid-commit',
  };
  okValue(await bob.http.request('POST', `${pathOf(group)}/reports`, { body }));
  const told = (await alice.syncAll()).find(({ kind }) => kind === 'report');
  expect(told).toMatchObject({ payload: { committer: { account: alice.account, device: phone.id } } });
});

describe('D11: roles that an opaque group’s GroupInfo states', () => {
  it('open it to nobody, and keep none of its members from inviting', async () => {
    const [alice, eve] = [await device(), await device()];
    const ben = await BareClient.register(url(), 'ben-of-roles');
    const { group, state, body } = await alice.prepareGroup(undefined, { admins: [eve.account], join: 'open' });
    okValue(
      await alice.http.request('POST', '/v1/groups', {
        body: { ...body, handshakes: 'private' },
        idempotencyKey: newId(),
      }),
    );
    alice.setState(group, state);
    expect(okValue(await alice.http.request('GET', pathOf(group))).join).toBe('invite');
    for (const path of ['', '/log', '/group-info', '/tree?epoch=0']) {
      expect(await code(eve.http.request('GET', `${pathOf(group)}${path}`))).toBe('not-found');
    }
    expect(await code(eve.claim(group, [alice.account]))).toBe('not-found');
    const { results } = okValue(await alice.claim(group, [ben.account]));
    expect(results).toMatchObject([{ device: ben.id, keyPackage: expect.anything() }]);
  });
});
