import { nodeSha256 } from '../../src/mls/suite-node.ts';
import {
  encodeStatement,
  type LaterStatement,
  offerToSign,
  type SignedStatement,
} from '../../src/wire/account-chain.ts';
import { statementToSign } from '../../src/wire/account-statement.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { type Answered, type DeviceKey, newId, okValue } from './signed-client.ts';
import type { TestDevice } from './test-device.ts';

type Kind =
  | { readonly type: 'rename'; readonly name: string }
  | { readonly type: 'add-device'; readonly device: DescribedDevice }
  | { readonly type: 'revoke-device'; readonly device: DeviceId };

export interface DescribedDevice {
  readonly key: Uint8Array;
  readonly label: string;
  readonly signatureKeys: readonly Uint8Array[];
}

/** SHA-256 of the newest statement that the server serves. */
export async function headOf(device: TestDevice, account: AccountId = device.account): Promise<Uint8Array> {
  const { statements } = okValue(await device.http.request('GET', `/v1/accounts/${account}`));
  return nodeSha256(statements.at(-1).statement);
}

/** A later statement with its signatures. */
export function signStatement(
  kind: Kind,
  options: {
    readonly account: AccountId;
    readonly previous: Uint8Array;
    readonly by: DeviceKey;
    readonly recovery?: boolean;
    readonly consent?: DeviceKey;
  },
): SignedStatement {
  const { account, previous, by, recovery = false, consent } = options;
  const statement = encodeStatement({
    v: 1,
    account,
    previous,
    by: recovery ? 'recovery' : by.id,
    time: Date.now(),
    ...kind,
  } as LaterStatement);
  const signature = by.sign(statementToSign(statement));
  if (kind.type !== 'add-device' || consent === undefined) return { statement, signature };
  return { statement, signature, countersignature: consent.sign(offerToSign(account, kind.device)) };
}

export function described(device: TestDevice, label = 'phone'): DescribedDevice {
  return { key: device.http.key.publicKey, label, signatureKeys: [device.keys.signPublic] };
}

export async function rename(device: TestDevice, name: string, idempotencyKey: string = newId()): Promise<Answered> {
  const options = { account: device.account, previous: await headOf(device), by: device.http.key };
  const body = signStatement({ type: 'rename', name }, options);
  return device.http.request('PATCH', '/v1/accounts/me', { body, idempotencyKey });
}

/** The new device belongs to `device`'s account from here on; its packages are published with it. */
export async function addDevice(device: TestDevice, added: TestDevice): Promise<Answered> {
  const previous = await headOf(device);
  const by = device.http.key;
  const kind = { type: 'add-device', device: described(added) } as const;
  const signed = signStatement(kind, { account: device.account, previous, by, consent: added.http.key });
  const body = { ...signed, keyPackages: await added.makePackages(1) };
  return device.http.request('POST', '/v1/accounts/me/devices', { body, idempotencyKey: newId() });
}

export async function revoke(device: TestDevice, revoked: DeviceId): Promise<Answered> {
  const options = { account: device.account, previous: await headOf(device), by: device.http.key };
  const body = signStatement({ type: 'revoke-device', device: revoked }, options);
  return device.http.request('DELETE', `/v1/accounts/me/devices/${revoked}`, { body, idempotencyKey: newId() });
}
