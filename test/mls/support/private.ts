import { createMlsConfig } from '../../../src/mls/config.ts';
import { formatIdentity } from '../../../src/mls/identity.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { createGroup } from '../../../src/mls/session/create.ts';
import { joinFromWelcome } from '../../../src/mls/session/join.ts';
import { createKeyPackage, generateSignatureKeys } from '../../../src/mls/session/key-package.ts';
import type { GroupState } from '../../../src/mls/session/state.ts';
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

/** A group with private handshakes that the first of these made and administers; all are in epoch 1, by leaf. */
export async function founded(names: readonly string[]): Promise<{ people: Person[]; states: GroupState[] }> {
  const people = await Promise.all(names.map(person));
  const [founder, ...others] = people as [Person, ...Person[]];
  const { state } = await createGroup(suite, trusting, {
    groupId: new Uint8Array(16).fill(7),
    identity: founder.identity,
    keys: founder.keys,
    roles: { admins: [founder.account], invite: 'admins', join: 'invite', handshakes: 'private' },
    now: NOW,
  });
  const made = await createCommit(suite, state, {
    add: others.map(({ keyPackage }) => keyPackage.bytes),
    handshakes: 'private',
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
