import type { LogEvent } from '../../src/log/events.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import {
  type AccountChain,
  beginChain,
  followChain,
  parseLaterStatement,
  type SignedStatement,
} from '../../src/wire/account-chain.ts';
import { equalBytes, toHex } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { foldName } from '../../src/wire/names.ts';
import type { Exchange } from './client-network.ts';
import type { Persona } from './persona.ts';
import type { ServerNode } from './server-node.ts';
import type { Violation } from './violation.ts';

interface TrueAccount {
  readonly chain: AccountChain;
  readonly statements: readonly Uint8Array[];
}

/** Accounts, names and key packages as they must be: folded from the log alone, without the tables of any node. */
export interface AccountLedger {
  /** What the account is called now; `undefined`: there is none. */
  nameOf(account: AccountId): string | undefined;
  /** Whether the account of the device ever had this name. */
  wasCalled(device: DeviceId, name: string): boolean;
  /** Whether the device is one of its account's now. */
  isValid(device: DeviceId): boolean;
  isRevoked(device: DeviceId): boolean;
  stored(event: LogEvent): void;
  /** The log holds these events now, with all that changed accounts. */
  wentBack(events: readonly { readonly event: LogEvent }[]): void;
  /** A node said that it took something. */
  answered({ operation, body, key, params }: Exchange, device: DeviceId, answer: Uint8Array): void;
  /** Somebody was told that the wanted name is another's. */
  turnedAway(persona: Persona): void;
  /** Somebody stored this history of an account. */
  pinned(who: string, account: AccountId, statements: readonly SignedStatement[]): void;
  /** How a node that is up to date differs from the log. */
  differences(node: ServerNode): Violation[];
}

export function createAccountLedger(violate: (violation: Violation) => void): AccountLedger {
  const accounts = new Map<AccountId, TrueAccount>();
  const holders = new Map<string, AccountId>();
  const everHeld = new Map<string, Set<AccountId>>();
  const revoked = new Set<DeviceId>();
  const valid = new Set<DeviceId>();
  const owners = new Map<DeviceId, AccountId>();
  /** One-time packages, and which request of whom got them. */
  const claims = new Map<string, string>();

  const hold = (name: string, account: AccountId): void => {
    const folded = foldName(name);
    holders.set(folded, account);
    everHeld.set(folded, (everHeld.get(folded) ?? new Set()).add(account));
  };
  const put = (chain: AccountChain, statements: readonly Uint8Array[]): void => {
    accounts.set(chain.id, { chain, statements });
    for (const device of chain.devices) {
      owners.set(device.id, chain.id);
      if (device.revoked) revoked.add(device.id);
      if (device.revoked) valid.delete(device.id);
      else valid.add(device.id);
    }
  };
  const change = (owner: AccountId, statement: Uint8Array): void => {
    const before = accounts.get(owner);
    const parsed = parseLaterStatement(statement);
    if (before === undefined || !parsed.ok) return;
    const followed = followChain(before.chain, statement, nodeSha256);
    if (!followed.ok) return;
    if (parsed.statement.type === 'rename') {
      const { name } = parsed.statement;
      const holder = holders.get(foldName(name));
      if (holder !== undefined && holder !== owner) return;
      holders.delete(foldName(before.chain.name));
      hold(name, owner);
    }
    put(followed.chain, [...before.statements, statement]);
  };
  const took = (what: string, statement: Uint8Array): void => {
    const isTaken = [...accounts.values()].some(({ statements }) =>
      statements.some((one) => equalBytes(one, statement)),
    );
    if (!isTaken) violate({ rule: 'one holder a name', text: `${what} was answered, and is in no account` });
  };

  return {
    nameOf: (account) => accounts.get(account)?.chain.name,
    wasCalled(device, name) {
      const owner = owners.get(device);
      return owner !== undefined && everHeld.get(foldName(name))?.has(owner) === true;
    },
    isValid: (device) => valid.has(device),
    isRevoked: (device) => revoked.has(device),
    stored(event) {
      if (event.type === 'account-changed') change(event.owner, event.statement);
      if (event.type !== 'account-registered') return;
      const begun = beginChain(event.statement, nodeSha256);
      if (!begun.ok || accounts.has(begun.chain.id) || holders.has(foldName(begun.chain.name))) return;
      hold(begun.chain.name, begun.chain.id);
      put(begun.chain, [event.statement]);
    },
    wentBack(events) {
      const kept = new Set(
        events.flatMap(({ event }) =>
          event.type === 'key-packages-claimed' ? [`${event.device} ${event.requestId}`] : [],
        ),
      );
      for (const [id, claim] of claims) if (!kept.has(claim)) claims.delete(id);
    },
    answered({ operation, body, key }, device, answer) {
      switch (operation) {
        case 'registerAccount':
        case 'renameAccount':
        case 'addDevice':
        case 'revokeDevice':
          took(operation, (decodeCbor(body!) as SignedStatement).statement);
          return;
        case 'claimKeyPackages': {
          const { results } = decodeCbor(answer) as { results: { keyPackage?: Uint8Array; lastResort?: boolean }[] };
          for (const { keyPackage, lastResort } of results) {
            if (keyPackage === undefined || lastResort === true) continue;
            const id = toHex(keyPackage);
            const claim = `${device} ${key}`;
            const other = claims.get(id);
            if (other !== undefined && other !== claim) {
              violate({ rule: 'one claim a key package', text: `${claim} got the package that ${other} has` });
            }
            claims.set(id, claim);
          }
        }
      }
    },
    turnedAway({ name, user, account }) {
      const held = everHeld.get(foldName(user)) ?? new Set();
      if (accounts.has(account)) {
        violate({ rule: 'one holder a name', text: `${name} was told that ${user} is taken, and has it` });
      } else if (held.size === 0) {
        violate({ rule: 'one holder a name', text: `${name} was told that ${user} is taken, which nobody ever had` });
      }
    },
    pinned(who, account, statements) {
      const truth = accounts.get(account)?.statements ?? [];
      const differs = statements.some(({ statement }, i) => !equalBytes(statement, truth[i] ?? new Uint8Array(0)));
      if (differs) violate({ rule: 'one holder a name', text: `${who} keeps another history of ${account}` });
    },
    differences(node) {
      const found: Violation[] = [];
      for (const [id, { chain }] of accounts) {
        const seen = node.readModel?.account(id);
        const wanted = chain.devices.flatMap((device) => (device.revoked ? [] : [device.id])).sort();
        const devices = seen?.devices.map((device) => device.id).sort() ?? [];
        if (seen?.name === chain.name && devices.join() === wanted.join()) continue;
        found.push({
          rule: 'one holder a name',
          text: `${node.name} has ${seen?.name} with ${devices.length} devices`,
        });
      }
      for (const [name, account] of holders) {
        const seen = node.readModel?.accountByName(name)?.id;
        if (seen !== account) found.push({ rule: 'one holder a name', text: `${node.name} says ${name} is ${seen}` });
      }
      return found;
    },
  };
}
