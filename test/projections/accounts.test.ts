import { expect, test } from 'vitest';
import type { AccountChanged } from '../../src/log/events.ts';
import { encodeStatement, type LaterStatement } from '../../src/wire/account-chain.ts';
import { encodeRegistration } from '../../src/wire/account-statement.ts';
import { accountIdOf, type ClientId, deviceIdOf } from '../../src/wire/ids.ts';
import { bytesOf, createScript, keyPackage, type Script, sha256, T0, testDevice } from './builders.ts';
import { folded, readAll } from './open.ts';

const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(testDevice) as [
  ReturnType<typeof testDevice>,
  ReturnType<typeof testDevice>,
  ReturnType<typeof testDevice>,
];
const TEA = bytesOf('tea', 16);
let count = 0;

type Kind =
  | { type: 'rename'; name: string }
  | { type: 'add-device'; device: typeof describedPhone }
  | { type: 'revoke-device'; device: typeof alice.device };

/** A change as a server appends it: signatures were verified before and are not looked at again. */
function changed(
  script: Script,
  owner: typeof alice,
  previous: Uint8Array,
  kind: Kind,
  more: Partial<AccountChanged> = {},
): AccountChanged {
  count += 1;
  const { account, device } = owner;
  const statement = encodeStatement({ v: 1, account, previous, by: device, time: T0, ...kind } as LaterStatement);
  return {
    v: 1,
    type: 'account-changed',
    id: `change-${count}`,
    time: script.now(),
    account,
    device,
    requestId: `change-00000000000${count}` as ClientId,
    requestDigest: bytesOf('digest'),
    owner: account,
    ...(kind.type === 'rename' ? { name: kind.name } : {}),
    statement,
    signature: bytesOf('signature', 64),
    keyPackages: [],
    ...more,
  };
}
const describedPhone = { key: bytesOf('phone'), label: 'phone', signatureKeys: [bytesOf('phone mls')] };
const phone = deviceIdOf(describedPhone.key, sha256);

test('of two statements that follow the same one, from two lanes, the first in the log counts; the other tells why not', async () => {
  const script = createScript();
  const previous = sha256(alice.statement);
  const rename = changed(script, alice, previous, { type: 'rename', name: 'alicia' });
  const late = changed(script, alice, previous, { type: 'add-device', device: describedPhone });
  const { read } = await folded([script.started(), script.register(alice), rename, late]);
  expect(read.request(late.id)?.result).toMatchObject({ kind: 'dropped', problem: 'account-conflict' });
  expect(read.account(alice.account)).toMatchObject({ name: 'alicia', statements: [{}, {}], devices: [{}] });
  expect(read.accountByName('alice')).toBeUndefined();
  expect(read.nameLane('user', 'alicia')).toEqual({ sequence: 3, taken: true });
  expect(read.nameLane('user', 'alice')).toEqual({ sequence: 2, taken: false });
});

test('S3: a name has one holder: taken by a rename, freed by the next, whatever its letters', async () => {
  const script = createScript();
  const one = changed(script, alice, sha256(alice.statement), { type: 'rename', name: 'BOB' });
  const two = changed(script, bob, sha256(bob.statement), { type: 'rename', name: 'robert' });
  const three = changed(script, alice, sha256(alice.statement), { type: 'rename', name: 'Bob' });
  const events = [script.started(), script.register(alice), script.register(bob), one, two, three];
  const { read } = await folded(events);
  expect(read.request(one.id)?.result).toMatchObject({ kind: 'dropped', problem: 'name-taken' });
  expect(read.accountByName('bob')?.id).toBe(alice.account);
  expect(read.accountByName('robert')?.id).toBe(bob.account);
});

test('S5: a change is an entry in each group of the account and in its inbox; a revoked device brings nothing any more', async () => {
  const script = createScript();
  const add = changed(
    script,
    bob,
    sha256(bob.statement),
    { type: 'add-device', device: describedPhone },
    { keyPackages: [keyPackage('p1')] },
  );
  const events = [
    script.started(),
    script.register(alice),
    script.register(bob),
    script.register(carol),
    script.createGroup(alice, TEA),
    script.commit(alice, TEA, 0, 0, { adds: [bob] }),
    script.createGroup(carol, bytesOf('ink', 16)),
    add,
  ];
  const before = await folded(events);
  expect(before.read.claimCandidates(bob.account, script.now())).toMatchObject([{}, { device: phone }]);
  const revoke = changed(script, bob, sha256(add.statement), { type: 'revoke-device', device: bob.device });
  const byRevoked = script.commit(bob, TEA, 1, 1);
  const addsRevoked = script.commit(alice, TEA, 1, 0, { removes: [1], adds: [bob] });
  const publishes = script.publish(bob, [keyPackage('late')]);
  const { read } = await folded([...events, revoke, byRevoked, addsRevoked, publishes]);
  expect(
    readAll(read, alice.device).entries.flatMap((entry) => (entry.kind === 'account' ? [entry] : [])),
  ).toMatchObject([
    { position: 3, group: TEA, payload: { account: bob.account, statement: add.statement } },
    { position: 4, group: TEA, payload: { statement: revoke.statement } },
  ]);
  expect(readAll(read, carol.device).entries.some(({ kind }) => kind === 'account')).toBe(false);
  expect(readAll(read, phone).entries.map(({ kind }) => kind)).toEqual(['account', 'account']);
  expect(read.device(bob.device)).toBeUndefined();
  expect(read.isRevoked(bob.device)).toBe(true);
  expect(read.claimCandidates(bob.account, script.now()).map(({ device }) => device)).toEqual([phone]);
  expect(read.request(byRevoked.id)?.result).toMatchObject({ kind: 'dropped', problem: 'forbidden' });
  expect(read.request(addsRevoked.id)?.result).toMatchObject({ kind: 'dropped', problem: 'invalid-commit' });
  expect(read.request(publishes.id)?.result).toMatchObject({ kind: 'dropped', problem: 'not-found' });
});

test('changes fold to the same tables in any batches', async () => {
  const script = createScript();
  const add = changed(script, bob, sha256(bob.statement), { type: 'add-device', device: describedPhone });
  const rename = changed(script, bob, sha256(add.statement), { type: 'rename', name: 'robert' });
  const events = [
    script.started(),
    script.register(alice),
    script.register(bob),
    script.createGroup(alice, TEA),
    script.commit(alice, TEA, 0, 0, { adds: [bob] }),
    add,
    rename,
    changed(script, bob, sha256(rename.statement), { type: 'revoke-device', device: phone }),
    changed(script, bob, sha256(rename.statement), { type: 'rename', name: 'too-late' }),
  ];
  const dumps = await Promise.all(
    [[1], [2, 3], [events.length]].map(async (sizes) => (await folded(events, sizes)).dumpTables()),
  );
  expect(new Set(dumps).size).toBe(1);
});

test('a device key that another account has is dropped, and so is a statement that is not what its event says', async () => {
  const script = createScript();
  const statement = encodeRegistration({
    v: 1,
    type: 'register',
    domain: 'localhost',
    name: 'dora',
    device: describedPhone,
    time: T0,
    nonce: bytesOf('nonce', 16),
  });
  const dora = { ...testDevice('dora'), statement, account: accountIdOf(statement, sha256), device: phone };
  const taken = changed(script, alice, sha256(alice.statement), { type: 'add-device', device: describedPhone });
  const other = changed(script, alice, sha256(alice.statement), { type: 'rename', name: 'x' }, { name: 'y' });
  const { read } = await folded([script.started(), script.register(alice), script.register(dora), taken, other]);
  expect(read.request(taken.id)?.result).toMatchObject({ problem: 'already-exists' });
  expect(read.request(other.id)?.result).toMatchObject({ problem: 'invalid-request' });
  expect(read.account(alice.account)?.statements).toHaveLength(1);
});
