import type { ServerApi } from '../../../src/client/transport/server-api.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { type AccountChain, beginChain, followChain, type SignedStatement } from '../../../src/wire/account-chain.ts';
import { parseRegistration } from '../../../src/wire/account-statement.ts';
import { type AccountId, accountIdOf, type ClientId, type DeviceId, deviceIdOf } from '../../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/wire/limits.ts';
import { foldName } from '../../../src/wire/names.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { Account } from '../../../src/wire/schemas/accounts.ts';
import { publish } from './key-packages.ts';
import type { FakeLine } from './line.ts';
import { accountOf, append, type FakeWorld, hasAccount, place } from './world.ts';

type AccountCalls = Pick<
  ServerApi,
  | 'register'
  | 'renameAccount'
  | 'addDevice'
  | 'recoverAccount'
  | 'revokeDevice'
  | 'accountByName'
  | 'account'
  | 'putDeviceOffer'
  | 'deviceOffer'
>;

/** @param served what is shown of an account that is looked up */
export function accountCalls(
  world: FakeWorld,
  { act, once }: FakeLine,
  device: DeviceId,
  served: (account: Account) => Account,
): AccountCalls {
  const { accounts, offers } = world;
  const shown = (account: Account | undefined): Account | undefined =>
    account === undefined ? undefined : served(account);
  const changeOwn = (key: ClientId, signed: SignedStatement): Account =>
    changeAccount(world, accountOf(world, device), { key, by: device }, signed);
  return {
    register: (key, body) =>
      once(device, 'register', key, body, () => {
        const account = registered(world, device, body);
        return { account, keyPackages: publish(world, device, body.keyPackages) };
      }),
    renameAccount: (key, body) => once(device, 'renameAccount', key, body, () => ({ account: changeOwn(key, body) })),
    addDevice: (key, body) =>
      once(device, 'addDevice', key, body, () => {
        const account = changeOwn(key, body);
        return { account, keyPackages: publish(world, account.devices.at(-1)!.id, body.keyPackages) };
      }),
    recoverAccount: (key, id, body) =>
      once(device, 'recoverAccount', key, body, () => ({
        account: changeAccount(world, id, { key, by: device }, body),
        keyPackages: publish(world, device, body.keyPackages),
      })),
    revokeDevice: (key, _id, body) =>
      once(device, 'revokeDevice', key, body, () => ({ account: changeOwn(key, body) })),
    accountByName: (name) =>
      act(device, 'accountByName', [name], () =>
        shown([...accounts.values()].find((account) => foldName(account.name) === foldName(name))),
      ),
    account: (id) => act(device, 'account', [id], () => shown(accounts.get(id))),
    putDeviceOffer: (id, offer) =>
      act(device, 'putDeviceOffer', [id], () => {
        offers.set(id, offer.slice());
        return { expires: world.clock + DEFAULT_LIMITS.deviceOfferTtlMs };
      }),
    deviceOffer: (id) => act(device, 'deviceOffer', [id], () => offers.get(id)),
  };
}

function registered(
  { accounts, devices, clock }: FakeWorld,
  by: DeviceId,
  { statement, signature }: { readonly statement: Uint8Array; readonly signature: Uint8Array },
): Account {
  const parsed = parseRegistration(statement);
  if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
  const { name, device } = parsed.statement;
  const id = accountIdOf(statement, nodeSha256);
  const isTaken = [...accounts.values()].some(
    (account) => foldName(account.name) === foldName(name) && account.id !== id,
  );
  if (isTaken) throw new ProblemError('name-taken', `${name} is taken`);
  const { key, label, signatureKeys } = device;
  const account = {
    id,
    name,
    devices: [{ id: deviceIdOf(key, nodeSha256), key, label, signatureKeys: [...signatureKeys] }],
    registeredAt: clock,
    statements: [{ statement, signature }],
  } as Account;
  accounts.set(id, account);
  devices.set(by, id);
  return account;
}

/** Follows the statement without looking at its signatures, and tells all concerned. */
function changeAccount(
  world: FakeWorld,
  id: AccountId,
  { key, by }: { readonly key: ClientId; readonly by: DeviceId },
  { statement, signature, countersignature }: SignedStatement,
): Account {
  const { accounts, devices, stocks, groups } = world;
  const before = accounts.get(id);
  if (before === undefined) throw new ProblemError('not-found', 'no such account');
  const signed = { statement, signature, ...(countersignature === undefined ? {} : { countersignature }) };
  const statements = [...before.statements, signed] as Account['statements'];
  const { name, devices: all } = chainOf(statements);
  const valid = all.filter(({ revoked }) => !revoked);
  for (const { id: own, revoked } of all) {
    if (!revoked) devices.set(own, id);
    else devices.delete(own);
    if (revoked) stocks.delete(own);
  }
  const after = { ...before, name, devices: valid, statements } as unknown as Account;
  accounts.set(id, after);
  const payload = { account: id, ...signed };
  for (const group of groups.values()) {
    if (!hasAccount(group, id)) continue;
    const about = { kind: 'account', group: group.bytes, id: key, sender: by, payload } as const;
    place(world, group, (position, time) => ({ ...about, position, time }));
  }
  const own = valid.map((each) => each.id);
  append(world, own, { kind: 'account', time: world.clock, payload });
  return after;
}

function chainOf(statements: Account['statements']): AccountChain {
  let chain: AccountChain | undefined;
  for (const [index, { statement }] of statements.entries()) {
    const step = chain === undefined ? beginChain(statement, nodeSha256) : followChain(chain, statement, nodeSha256);
    if (!step.ok) {
      const isLast = index === statements.length - 1;
      throw new ProblemError(isLast ? 'account-conflict' : 'internal', step.reason);
    }
    chain = step.chain;
  }
  return chain!;
}
