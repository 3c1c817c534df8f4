import type { AccountRegistered } from '../../log/events.ts';
import { nameLane } from '../../log/subjects.ts';
import { parseRegistration } from '../../wire/account-statement.ts';
import { accountIdOf, deviceIdOf, type Sha256 } from '../../wire/ids.ts';
import type { Draft } from './draft.ts';
import { publish } from './key-packages.ts';
import { done, dropped, type Result } from './place.ts';
import { accounts, devices, names } from './rows.ts';

/** The first to register a name holds it; the statement alone says which keys the account has. */
export function foldAccountRegistered(draft: Draft, event: AccountRegistered, sha256: Sha256): Result {
  const { hash } = nameLane('account', event.name);
  const parsed = parseRegistration(event.statement);
  if (!parsed.ok) return dropped('invalid-request', parsed.reason);
  const { device, name } = parsed.statement;
  const id = accountIdOf(event.statement, sha256);
  const deviceId = deviceIdOf(device.key, sha256);
  if (id !== event.account || deviceId !== event.device || name !== event.name) {
    return dropped('invalid-request', 'the statement is not about this account');
  }
  if (draft.get(accounts, id) !== undefined || draft.get(devices, deviceId) !== undefined) {
    return dropped('already-exists', 'this device key belongs to an account already');
  }
  if (draft.get(names, hash) !== undefined) {
    return dropped('name-taken', 'somebody else holds this name');
  }
  draft.put(names, hash, id);
  draft.put(accounts, id, {
    name,
    registeredAt: event.time,
    devices: [deviceId],
    statements: [{ statement: event.statement, signature: event.signature }],
  });
  const { key, label, signatureKeys } = device;
  draft.put(devices, deviceId, { id: deviceId, account: id, key, label, signatureKeys });
  draft.deviceNo(deviceId);
  return done(publish(draft, { account: id, device: deviceId, keyPackages: event.keyPackages, time: event.time }));
}
