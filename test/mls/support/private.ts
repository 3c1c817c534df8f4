import { createProposal, encodeMlsMessage, type Proposal } from 'ts-mls';
import { createMlsConfig } from '../../../src/mls/config.ts';
import { formatIdentity } from '../../../src/mls/identity.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { createGroup } from '../../../src/mls/session/create.ts';
import { joinFromWelcome } from '../../../src/mls/session/join.ts';
import { createKeyPackage, generateSignatureKeys } from '../../../src/mls/session/key-package.ts';
import { type GroupState, unwrap, wrap } from '../../../src/mls/session/state.ts';
import { createNodeSuite } from '../../../src/mls/suite-node.ts';

export const suite = createNodeSuite();
export const trusting = createMlsConfig({ validateCredential: () => true });
export const NOW = Date.now();
const LIFETIME_MS = 86_400_000;

export type Person = Awaited<ReturnType<typeof person>>;

export async function person(name: string) {
  const account = name.padEnd(32, 'a');
  const identity = formatIdentity({ domain: 'chat.example', account, device: `${name}d`.padEnd(32, 'a') });
  const keys = await generateSignatureKeys(suite);
  const keyPackage = await createKeyPackage(suite, {
    identity,
    keys,
    now: NOW,
    lifetimeMs: LIFETIME_MS,
    lastResort: false,
  });
  return { account, identity, keys, keyPackage };
}

/** A group, with private handshakes unless told else, that the first of these made and administers; all are in epoch 1, by leaf. */
export async function founded(
  names: readonly string[],
  handshakes: 'private' | 'public' = 'private',
): Promise<{ people: Person[]; states: GroupState[] }> {
  const kind = handshakes === 'private' ? { handshakes } : {};
  const people = await Promise.all(names.map(person));
  const [founder, ...others] = people as [Person, ...Person[]];
  const { state } = await createGroup(suite, trusting, {
    groupId: new Uint8Array(16).fill(7),
    identity: founder.identity,
    keys: founder.keys,
    roles: { admins: [founder.account], invite: 'admins', join: 'invite', ...kind },
    now: NOW,
  });
  const made = await createCommit(suite, state, {
    add: others.map(({ keyPackage }) => keyPackage.bytes),
    ...kind,
    inlineTree: true,
    groupInfoTree: true,
    now: NOW,
  });
  const joined = await Promise.all(
    others.map(async ({ keyPackage }) => {
      const join = await joinFromWelcome(suite, trusting, { welcome: made.welcome!, keyPackage });
      if (join.kind !== 'joined') throw new Error(join.code);
      return join.state;
    }),
  );
  return { people, states: [made.next, ...joined] };
}

/** A proposal of any kind, private unless told else, as a client may make it that keeps to no rules, and its maker's state with it. */
export async function forgedProposal(
  state: GroupState,
  proposal: Proposal,
  authenticatedData: Uint8Array = new Uint8Array(0),
  handshakes: 'private' | 'public' = 'private',
): Promise<{ readonly state: GroupState; readonly proposal: Uint8Array }> {
  const made = await createProposal(unwrap(state), handshakes === 'public', proposal, suite, authenticatedData);
  return { state: wrap(made.newState), proposal: encodeMlsMessage(made.message) };
}

export const removalOf = (removed: number): Proposal => ({ proposalType: 'remove', remove: { removed } });
