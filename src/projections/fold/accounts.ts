import type { AccountChanged, AccountRegistered } from '../../log/events.ts';
import { nameLane } from '../../log/subjects.ts';
import {
  type AccountChain,
  beginChain,
  type ChainDevice,
  followChain,
  type LaterStatement,
  parseLaterStatement,
  type SignedStatement,
} from '../../wire/account-chain.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type AccountId, deviceIdOf, type Sha256 } from '../../wire/ids.ts';
import { tellAccountChange } from './account-entries.ts';
import type { Draft } from './draft.ts';
import { publish, withdraw } from './key-packages.ts';
import { done, dropped, type Place, type Result } from './place.ts';
import { accounts, devices, names } from './rows.ts';

/** The first to register a name holds it; the statement alone says which keys the account has. */
export function foldAccountRegistered(draft: Draft, event: AccountRegistered, sha256: Sha256): Result {
  const { hash } = nameLane('account', event.name);
  const begun = beginChain(event.statement, sha256);
  if (!begun.ok) return dropped('invalid-request', begun.reason);
  const { chain } = begun;
  const [device] = chain.devices;
  if (device === undefined || chain.id !== event.account || device.id !== event.device || chain.name !== event.name) {
    return dropped('invalid-request', 'the statement is not about this account');
  }
  if (draft.get(accounts, chain.id) !== undefined || draft.get(devices, device.id) !== undefined) {
    return dropped('already-exists', 'this device key belongs to an account already');
  }
  if (draft.get(names, hash) !== undefined) {
    return dropped('name-taken', 'somebody else holds this name');
  }
  draft.put(names, hash, chain.id);
  const statements = [{ statement: event.statement, signature: event.signature }];
  draft.put(accounts, chain.id, { registeredAt: event.time, chain, statements });
  putDevice(draft, chain.id, device);
  const { keyPackages, time } = event;
  return done(publish(draft, { account: chain.id, device: device.id, keyPackages, time }));
}

/**
 * A statement that follows the account's newest one takes effect, any other is dropped: a rename and a revocation can be
 * on their way at once, on two lanes. Its signatures were verified before it was appended.
 */
export function foldAccountChanged(draft: Draft, event: AccountChanged, place: Place, sha256: Sha256): Result {
  const row = draft.get(accounts, event.owner);
  if (row === undefined) return dropped('not-found', 'no such account');
  const { chain } = row;
  const parsed = parseLaterStatement(event.statement);
  if (!parsed.ok) return dropped('invalid-request', parsed.reason);
  const { statement } = parsed;
  if (!equalBytes(statement.previous, chain.head)) return overtaken();
  const followed = followChain(chain, event.statement, sha256);
  if (!followed.ok) return dropped('invalid-request', followed.reason);
  const next = followed.chain;
  const problem = conflictOf(draft, event, statement, sha256);
  if (problem !== undefined) return problem;
  if (statement.type === 'rename') moveName(draft, chain, next);
  draft.put(accounts, chain.id, { ...row, chain: next, statements: [...row.statements, signedOf(event)] });
  let refs: readonly Uint8Array[] = [];
  if (statement.type === 'add-device') {
    const device = next.devices.at(-1)!;
    putDevice(draft, chain.id, device);
    const { keyPackages, time } = event;
    refs = publish(draft, { account: chain.id, device: device.id, keyPackages, time });
  }
  if (statement.type === 'revoke-device') {
    putDevice(draft, chain.id, next.devices.find(({ id }) => id === statement.device)!);
    withdraw(draft, statement.device);
  }
  tellAccountChange(draft, event, next, place);
  return done(refs);
}

function conflictOf(draft: Draft, event: AccountChanged, statement: LaterStatement, sha256: Sha256) {
  if ((statement.type === 'rename' ? statement.name : undefined) !== event.name) {
    return dropped('invalid-request', 'the statement is not what the event around it says');
  }
  switch (statement.type) {
    case 'rename': {
      const holder = draft.get(names, nameLane('account', statement.name).hash);
      if (holder === undefined || holder === event.owner) return undefined;
      return dropped('name-taken', 'somebody else holds this name');
    }
    case 'add-device':
      if (draft.get(devices, deviceIdOf(statement.device.key, sha256)) === undefined) return undefined;
      return dropped('already-exists', 'this device key belongs to an account already');
    case 'revoke-device':
      return undefined;
    default:
      return statement satisfies never;
  }
}

/** The name before becomes free, unless it is the same name in other letters. */
function moveName(draft: Draft, before: AccountChain, after: AccountChain): void {
  draft.remove(names, nameLane('account', before.name).hash);
  draft.put(names, nameLane('account', after.name).hash, before.id);
}

function putDevice(draft: Draft, account: AccountId, device: ChainDevice): void {
  draft.put(devices, device.id, { ...device, account });
  draft.deviceNo(device.id);
  draft.touchedDevices.add(device.id); // streams of a device that was revoked wake up, and end
}

function signedOf({ statement, signature, countersignature }: AccountChanged): SignedStatement {
  return { statement, signature, ...(countersignature === undefined ? {} : { countersignature }) };
}

function overtaken(): Result {
  return dropped('account-conflict', 'the account has changed since this statement was made');
}
