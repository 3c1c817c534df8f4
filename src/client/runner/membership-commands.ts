import { KEY_PACKAGE_LIFETIME_MAX_MS } from '../../mls/config.ts';
import { formatIdentity } from '../../mls/identity.ts';
import { checkKeyPackage } from '../../mls/key-package-check.ts';
import { isAdmin } from '../../mls/roles.ts';
import { rolesOf } from '../../mls/session/state.ts';
import { type AccountId, type GroupId, newClientId } from '../../wire/ids.ts';
import { checkName, foldName } from '../../wire/names.ts';
import type { ClaimResult } from '../../wire/schemas/key-packages.ts';
import type { Done, GroupPolicy, PersonOutcome } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { AddedPackage, Intention, IntentionKind } from '../engine/commit-types.ts';
import type { KnownAccount } from '../engine/directory.ts';
import { addIntention } from '../engine/intentions.ts';
import type { Group, IntentionOutcome } from '../engine/types.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import type { ChatState } from './chat-state.ts';
import type { EffectWorld } from './effect-world.ts';
import { reasonOf } from './failures.ts';
import { accountsOf, forbidden, hasAllDevices, notAMember } from './group-views.ts';
import type { Serial } from './serial.ts';
import type { Waiters } from './waiters.ts';

/** The longest a command waits for its commit; the commit goes on behind it. */
export const COMMIT_TIMEOUT_MS = 120_000;
const CLAIM_ACCOUNTS = 100;

export interface MembershipCommands {
  invite(id: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  remove(id: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  promote(id: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  demote(id: GroupId, names: readonly string[]): Promise<readonly PersonOutcome[]>;
  setPolicy(id: GroupId, policy: GroupPolicy): Promise<Done>;
  rotate(id: GroupId): Promise<Done>;
  rejoin(id: GroupId): Promise<Done>;
}

type Lookup = { readonly name: string } & (
  | { readonly kind: 'account'; readonly account: KnownAccount }
  | { readonly kind: 'outcome'; readonly outcome: PersonOutcome }
);

/** Commands that end in a commit: they leave an intention with the group and wait for what becomes of it. */
export function createMembershipCommands(world: {
  readonly env: EffectWorld['env'];
  readonly api: ServerApi;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly accounts: AccountBook;
  readonly outcomes: Waiters<IntentionOutcome>;
}): MembershipCommands {
  const { env, api, state, serial, accounts, outcomes } = world;
  const { directory, me } = env;
  const newId = () => newClientId(env.now(), env.randomBytes);

  const groupOf = (id: GroupId): Group => {
    const group = state.groups.get(id);
    if (group === undefined) throw new ClientError('unknown-group', 'there is no such group here');
    return group;
  };

  const commitFor = async (id: GroupId, kind: IntentionKind): Promise<IntentionOutcome> => {
    const intention = newId();
    const told = outcomes.wait(intention, COMMIT_TIMEOUT_MS);
    told.catch(() => {}); // looked at below, unless storing the intention fails first
    await serial.run(async () => {
      const batch = state.begin();
      const group = batch.group(id);
      if (group === undefined) throw new ClientError('unknown-group', 'there is no such group here');
      batch.take(addIntention(group, intention, kind));
      await batch.commit();
    });
    try {
      return await told;
    } catch (error) {
      if (error instanceof ClientError && error.code === 'timeout') {
        return { kind: 'refused', reason: error.message, settled: [] };
      }
      throw error;
    }
  };

  const lookUp = async (typed: string): Promise<Lookup> => {
    const name = typed.replace(/^@/, '');
    const check = checkName(name);
    if (!check.ok) return { name, kind: 'outcome', outcome: { name, kind: 'unknown-user' } };
    try {
      const found = await accounts.fetchByName(check.name);
      if (found === undefined) return { name, kind: 'outcome', outcome: { name, kind: 'unknown-user' } };
      if (!('invalid' in found)) return { name, kind: 'account', account: found };
      const reason = `the server's record of ${name} does not prove itself: ${found.invalid}`;
      return { name, kind: 'outcome', outcome: { name, kind: 'refused', reason } };
    } catch (error) {
      return { name, kind: 'outcome', outcome: { name, kind: 'refused', reason: reasonOf(error) } };
    }
  };

  /** What was claimed, device by device; a device without a usable package never keeps the others out. */
  const usable = async (result: ClaimResult, account: KnownAccount): Promise<AddedPackage | string> => {
    const device = account.devices.find((candidate) => candidate.id === result.device && !candidate.revoked);
    if (result.problem !== undefined || result.keyPackage === undefined)
      return 'no key packages are left, ask them to connect once';
    if (device === undefined) return 'the server offered a key package of an unknown device';
    const identity = formatIdentity({ domain: me.domain, account: account.id, device: device.id });
    const check = await checkKeyPackage(env.suite, result.keyPackage, {
      now: env.now(),
      expectedIdentity: identity,
      allowedSignatureKeys: device.signatureKeys,
      maxLifetimeMs: KEY_PACKAGE_LIFETIME_MAX_MS,
    });
    if (check.kind === 'refused') return `their key package cannot be used (${check.reason})`;
    return { account: account.id, device: device.id, identity, keyPackage: result.keyPackage };
  };

  const claim = async (group: Group, wanted: readonly KnownAccount[]) => {
    const packages: AddedPackage[] = [];
    const problems = new Map<AccountId, string>();
    for (let first = 0; first < wanted.length; first += CLAIM_ACCOUNTS) {
      const some = wanted.slice(first, first + CLAIM_ACCOUNTS);
      const { results } = await api.claimKeyPackages(
        newId(),
        group.bytes,
        some.map((account) => account.id),
      );
      for (const result of results) {
        const account = some.find((candidate) => candidate.id === result.account);
        if (account === undefined) continue;
        if (result.problem === undefined && result.keyPackage === undefined) continue; // this device is a member already
        const added = await usable(result, account);
        if (typeof added === 'string') problems.set(account.id, added);
        else packages.push(added);
      }
    }
    return { packages, problems };
  };

  /** People of a group by the names they have here, else as the server knows them. */
  const membersNamed = (members: ReadonlyMap<AccountId, unknown>, names: readonly string[]) =>
    Promise.all(
      unique(names).map(async (name): Promise<Lookup> => {
        const local = [...members.keys()]
          .map((account) => directory.get(account))
          .find((account) => account !== undefined && foldName(account.name) === foldName(name));
        return local === undefined ? lookUp(name) : { name, kind: 'account', account: local };
      }),
    );

  const changeRoles = async (id: GroupId, names: readonly string[], change: 'promote' | 'demote') => {
    const group = groupOf(id);
    const no = forbidden(group, change, directory, me);
    if (no !== undefined || group.mls === undefined) {
      return names.map((name) => ({ name, kind: 'refused', reason: no ?? 'this group cannot be used' }) as const);
    }
    const members = accountsOf(group);
    const roles = rolesOf(group.mls);
    const lookups = await membersNamed(members, names);
    const kinds = new Map<AccountId, PersonResult>();
    const wanted: AccountId[] = [];
    for (const lookup of lookups) {
      if (lookup.kind !== 'account') continue;
      const { id: account } = lookup.account;
      const admin = roles !== undefined && isAdmin(roles, account);
      if (!members.has(account)) kinds.set(account, { kind: 'not-member' });
      else if (admin === (change === 'promote')) kinds.set(account, { kind: 'already' });
      else wanted.push(account);
    }
    if (wanted.length > 0) {
      const [appoint, dismiss] = change === 'promote' ? [wanted, []] : [[], wanted];
      settle(kinds, await commitFor(id, { kind: 'roles', appoint, dismiss }), wanted);
    }
    return outcomesOf(lookups, kinds);
  };

  return {
    promote: (id, names) => changeRoles(id, names, 'promote'),
    demote: (id, names) => changeRoles(id, names, 'demote'),
    setPolicy: async (id, policy) => {
      const no = forbidden(groupOf(id), 'set the policy', directory, me);
      if (no !== undefined) return { kind: 'refused', reason: no };
      return doneOf(await commitFor(id, { kind: 'roles', appoint: [], dismiss: [], ...policy }));
    },
    invite: async (id, names) => {
      const group = groupOf(id);
      const own = directory.get(me.account)?.name ?? me.name;
      const isOwn = names.every((name) => foldName(name.replace(/^@/, '')) === foldName(own));
      // everybody may bring in the other devices of the own account
      const no = isOwn ? notAMember(group) : forbidden(group, 'invite', directory, me);
      if (no !== undefined) return names.map((name) => ({ name, kind: 'refused', reason: no }));
      const lookups = await Promise.all(unique(names).map(lookUp));
      const known = lookups.flatMap((lookup) => (lookup.kind === 'account' ? [lookup.account] : []));
      const devicesOf = (account: KnownAccount) =>
        account.devices.filter((device) => !device.revoked).map(({ id: device }) => device);
      const wanted = known.filter((account) => !hasAllDevices(group, account.id, devicesOf(account)));
      const kinds = new Map<AccountId, PersonResult>(known.map((account) => [account.id, { kind: 'already' }]));
      if (wanted.length > 0) {
        try {
          const { packages, problems } = await claim(group, wanted);
          for (const account of wanted) {
            kinds.set(account.id, { kind: 'refused', reason: problems.get(account.id) ?? 'no key packages are left' });
          }
          const claimed = packages.map((added) => added.account);
          if (claimed.length > 0) settle(kinds, await commitFor(id, { kind: 'add', packages }), claimed);
        } catch (error) {
          if (error instanceof ClientError) throw error;
          for (const account of wanted) kinds.set(account.id, { kind: 'refused', reason: reasonOf(error) });
        }
      }
      return outcomesOf(lookups, kinds);
    },
    remove: async (id, names) => {
      const group = groupOf(id);
      const no = forbidden(group, 'remove', directory, me);
      if (no !== undefined) return names.map((name) => ({ name, kind: 'refused', reason: no }));
      const members = accountsOf(group);
      const lookups = await membersNamed(members, names);
      const kinds = new Map<AccountId, PersonResult>();
      const wanted: AccountId[] = [];
      for (const lookup of lookups) {
        if (lookup.kind !== 'account') continue;
        const { id: account } = lookup.account;
        if (account === me.account) kinds.set(account, { kind: 'refused', reason: 'to go yourself, leave the group' });
        else if (!members.has(account)) kinds.set(account, { kind: 'not-member' });
        else wanted.push(account);
      }
      if (wanted.length > 0) settle(kinds, await commitFor(id, { kind: 'remove', accounts: wanted }), wanted);
      return outcomesOf(lookups, kinds);
    },
    rotate: async (id) => {
      const no = notAMember(groupOf(id));
      return no === undefined ? doneOf(await commitFor(id, { kind: 'rotate' })) : { kind: 'refused', reason: no };
    },
    rejoin: async (id) => {
      const { phase } = groupOf(id);
      if (phase === 'removed') return { kind: 'refused', reason: 'you are no longer a member; ask for an invitation' };
      if (phase === 'creating') return { kind: 'refused', reason: 'the group is being created' };
      return doneOf(await commitFor(id, { kind: 'rejoin' }));
    },
  };
}

type PersonResult =
  | { readonly kind: 'done' | 'already' | 'not-member' }
  | { readonly kind: 'refused'; readonly reason: string };

function settle(kinds: Map<AccountId, PersonResult>, outcome: IntentionOutcome, wanted: readonly AccountId[]): void {
  if (outcome.kind === 'refused')
    for (const account of wanted) kinds.set(account, { kind: 'refused', reason: outcome.reason });
  const settled: Intention['settled'] = outcome.settled;
  for (const { account, kind } of settled) kinds.set(account, { kind });
}

function outcomesOf(lookups: readonly Lookup[], kinds: ReadonlyMap<AccountId, PersonResult>): readonly PersonOutcome[] {
  return lookups.map((lookup) => {
    if (lookup.kind === 'outcome') return lookup.outcome;
    return { name: lookup.name, ...(kinds.get(lookup.account.id) ?? { kind: 'refused', reason: 'nothing was done' }) };
  });
}

function doneOf(outcome: IntentionOutcome): Done {
  return outcome.kind === 'done' ? { kind: 'done' } : { kind: 'refused', reason: outcome.reason };
}

function unique(names: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return names.filter((name) => {
    const folded = foldName(name);
    return seen.has(folded) ? false : seen.add(folded);
  });
}
