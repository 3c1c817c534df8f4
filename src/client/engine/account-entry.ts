import { parseIdentity } from '../../mls/identity.ts';
import { isAdmin } from '../../mls/roles.ts';
import { isOwnRemovalDue } from '../../mls/session/pending.ts';
import { type GroupState as MlsState, membersOf, ownLeafOf, rolesOf } from '../../mls/session/state.ts';
import {
  applyStatement,
  type ChainCrypto,
  type LaterStatement,
  parseLaterStatement,
} from '../../wire/account-chain.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { AccountChange, AccountChangeEntry } from '../../wire/entry.ts';
import type { AccountId, DeviceId, Sha256 } from '../../wire/ids.ts';
import type { AccountLine } from '../chat-client.ts';
import { alarmText, chainOf, knownAccount } from './account-check.ts';
import type { Directory, KnownAccount } from './directory.ts';
import { handshakesOf } from './opaque.ts';
import { type EngineEnv, type Group, type Needs, type Step, step } from './types.ts';

/** What a statement comes to: `news` is how the account stands after it, when it was not known before. */
type Judged =
  | { readonly kind: 'valid'; readonly statement: LaterStatement; readonly at: number; readonly account: KnownAccount }
  | { readonly kind: 'invalid'; readonly name: string; readonly reason: string }
  | Needs;

/** A member's account changed: shown in the group, if the statement holds; else everybody is warned, and nothing changes. */
export async function applyAccountEntry(
  env: EngineEnv,
  placed: Group,
  entry: AccountChangeEntry,
): Promise<Step | Needs> {
  const { time, position } = entry;
  const judged = await judge(env, entry.payload);
  if (judged.kind === 'invalid') {
    return step(placed, { lines: [{ kind: 'warning', text: alarmText(judged.name, judged.reason), time, position }] });
  }
  if (judged.kind !== 'valid') return judged;
  const { statement, account, at } = judged;
  const by = { account: account.id, device: entry.sender, name: nameAt(account, at, env.sha256) };
  const revoked = statement.type === 'revoke-device' ? { revoked: [...(placed.revoked ?? []), statement.device] } : {};
  return step(
    { ...placed, ...revoked },
    { lines: [{ ...lineOf(statement, account), by, time, position }], accounts: [account] },
  );
}

/** The same statement as it comes to the account's own devices. `undefined`: there is nothing new in it. */
export async function judgeOwnChange(env: EngineEnv, change: AccountChange): Promise<KnownAccount | Needs | undefined> {
  const judged = await judge(env, change);
  if (judged.kind === 'invalid') return undefined; // told where the account is looked up
  return judged.kind === 'valid' ? judged.account : judged;
}

/** The group with those of its members that are revoked devices, by what is known here. */
export function withExpulsions(directory: Directory, group: Group): Group {
  const { toExpel: _before, ...rest } = group;
  if (group.mls === undefined || group.phase !== 'member') return rest;
  const toExpel = membersOf(group.mls)
    .filter(({ identity }) => directory.isRevoked(identity))
    .flatMap(({ identity }) => parseIdentity(identity)?.device ?? []);
  return toExpel.length === 0 ? rest : { ...rest, toExpel };
}

/** The accounts of the other members. This device is told of its own by itself. */
export function accountsToAsk({ me }: EngineEnv, { mls }: Group): readonly AccountId[] {
  if (mls === undefined) return [];
  const accounts = new Set(membersOf(mls).flatMap(({ identity }) => parseIdentity(identity)?.account ?? []));
  accounts.delete(me.account);
  return [...accounts];
}

/** The accounts of the members were asked for what the log held when it was read up to `position`, or nobody can say more. */
export function membersAsked(env: EngineEnv, group: Group, position: number): Step {
  const { membersDue, ...rest } = group;
  return step(withExpulsions(env.directory, membersDue === position ? rest : group));
}

/** How long a member that may as well remove a revoked device waits for the one before it. */
const EXPEL_TURN_MS = 300;
/** The longest such wait, in a large group where nobody who comes first is there. */
const EXPEL_TURN_MAX_MS = 10 * 60_000;

/**
 * When this member should remove the revoked devices: first the other devices of their accounts, then administrators, then
 * everybody, each after those before had their turn, so that one does it and no storm begins. `undefined`: never.
 */
export function expelTurn(
  group: Group,
): { readonly devices: readonly DeviceId[]; readonly delayMs: number } | undefined {
  const { toExpel, mls } = group;
  if (toExpel === undefined || mls === undefined || group.phase !== 'member' || group.pending !== undefined)
    return undefined;
  const devices = removable(group, mls, toExpel);
  if (devices.length === 0) return undefined;
  if (group.leaving !== undefined || group.intentions.some(({ kind }) => kind === 'expel')) return undefined;
  if (isOwnRemovalDue(mls, handshakesOf(group))) return undefined;
  const members = membersOf(mls).map(({ leaf, identity }) => ({ leaf, ...parseIdentity(identity) }));
  const accounts = new Set(
    members.flatMap(({ device, account }) => (device !== undefined && toExpel.includes(device) ? [account] : [])),
  );
  const admins: readonly (string | undefined)[] = rolesOf(mls)?.admins ?? [];
  const order = members
    .filter(({ device }) => device === undefined || !toExpel.includes(device))
    .map(({ leaf, account }) => ({ leaf, class: accounts.has(account) ? 0 : admins.includes(account) ? 1 : 2 }))
    .sort((a, b) => a.class - b.class || a.leaf - b.leaf);
  const rank = order.findIndex(({ leaf }) => leaf === ownLeafOf(mls));
  return rank < 0 ? undefined : { devices, delayMs: Math.min(rank * EXPEL_TURN_MS, EXPEL_TURN_MAX_MS) };
}

/**
 * Those that a commit may remove. The server takes none that leaves a group it can read without an administrator: the last ones wait
 * until another device of their account is in, which comes by itself. In an opaque group the commit names somebody: if that is the
 * account of another revoked device, the commit that removes it names the next.
 */
function removable(group: Group, mls: MlsState, toExpel: readonly DeviceId[]): readonly DeviceId[] {
  const roles = rolesOf(mls);
  if (roles === undefined || handshakesOf(group).handshakes === 'private') return toExpel;
  const ofAdmins = membersOf(mls).flatMap(({ identity }) => {
    const { account, device } = parseIdentity(identity) ?? {};
    return account !== undefined && device !== undefined && isAdmin(roles, account) ? [device] : [];
  });
  return ofAdmins.every((device) => toExpel.includes(device))
    ? toExpel.filter((device) => !ofAdmins.includes(device))
    : toExpel;
}

/** Whether one of these identities is a device that was revoked in this group's own log: no commit may bring it any more. */
export function bringsRevoked(group: Group, identities: readonly string[]): boolean {
  const { revoked = [] } = group;
  return revoked.length > 0 && identities.some((identity) => isOneOf(revoked, identity));
}

function isOneOf(devices: readonly DeviceId[], identity: string): boolean {
  const device = parseIdentity(identity)?.device;
  return device !== undefined && devices.includes(device);
}

async function judge(env: EngineEnv, change: AccountChange): Promise<Judged> {
  const { directory, sha256 } = env;
  const parsed = parseLaterStatement(change.statement);
  const known = directory.get(change.account);
  const name = known?.name ?? change.account;
  if (!parsed.ok) return { kind: 'invalid', name, reason: parsed.reason };
  const { statement } = parsed;
  const chain = known === undefined ? undefined : chainOf(known.statements, sha256);
  if (known !== undefined && chain !== undefined) {
    const at = known.statements.findIndex((signed) => equalBytes(signed.statement, change.statement));
    if (at > 0) return { kind: 'valid', statement, at, account: known };
    if (equalBytes(statement.previous, chain.head)) {
      const followed = await applyStatement(chain, change, chainCryptoOf(env));
      if (!followed.ok) return { kind: 'invalid', name, reason: followed.reason };
      const { account: _account, ...signed } = change;
      const extended = knownAccount(followed.chain, [...known.statements, signed]);
      directory.put(extended);
      return { kind: 'valid', statement, at: known.statements.length, account: extended };
    }
  }
  // what lies between is not known here: the server has it, or it does not exist
  const isKnown = (): boolean =>
    directory.get(change.account)?.statements.some((signed) => equalBytes(signed.statement, change.statement)) === true;
  if (directory.doubt(change.account, `statement ${toBase64Url(sha256(change.statement))}`, isKnown)) {
    return { kind: 'needs-accounts', accounts: directory.takeMissing() };
  }
  return { kind: 'invalid', name, reason: 'a change was announced that its history does not have' };
}

/** Verification as the engine's suite does it; a key that is none verifies nothing. */
export function chainCryptoOf({ suite, sha256 }: Pick<EngineEnv, 'suite' | 'sha256'>): ChainCrypto {
  return {
    sha256,
    verify: async (key, message, signature) => {
      try {
        return await suite.signature.verify(key, message, signature);
      } catch {
        return false;
      }
    },
  };
}

/** The name before the statement at this place. */
function nameAt(account: KnownAccount, at: number, sha256: Sha256): string {
  return chainOf(account.statements.slice(0, at), sha256)?.name ?? account.name;
}

function lineOf(statement: LaterStatement, account: KnownAccount): Pick<AccountLine, 'kind' | 'change' | 'what'> {
  switch (statement.type) {
    case 'rename':
      return { kind: 'account', change: 'renamed', what: statement.name };
    case 'add-device':
      return { kind: 'account', change: 'device-added', what: statement.device.label };
    case 'revoke-device': {
      const device = account.devices.find(({ id }) => id === statement.device);
      return { kind: 'account', change: 'device-revoked', what: device?.label ?? statement.device };
    }
  }
}
