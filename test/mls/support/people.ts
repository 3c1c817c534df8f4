import { createMlsConfig, type MlsConfig } from '../../../src/mls/config.ts';
import { formatIdentity } from '../../../src/mls/identity.ts';
import type { GroupRoles } from '../../../src/mls/roles.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { createGroup } from '../../../src/mls/session/create.ts';
import { joinFromWelcome } from '../../../src/mls/session/join.ts';
import {
  createKeyPackage,
  generateSignatureKeys,
  type NewKeyPackage,
  type SignatureKeys,
} from '../../../src/mls/session/key-package.ts';
import { type Received, receive } from '../../../src/mls/session/receive.ts';
import type { GroupState } from '../../../src/mls/session/state.ts';
import type { Suite } from '../../../src/mls/suite.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { toBase32, toUtf8 } from '../../../src/wire/bytes.ts';

export const NOW = Date.UTC(2026, 10, 1);
export const DAY = 24 * 60 * 60 * 1000;
export const trusting: MlsConfig = createMlsConfig({ validateCredential: () => true });

const shortId = (text: string): string => toBase32(nodeSha256(toUtf8(text)).subarray(0, 20));
export const accountNamed = (name: string): string => shortId(`account ${name}`);
export const identityNamed = (name: string): string =>
  formatIdentity({ domain: 'localhost', account: accountNamed(name), device: shortId(`device ${name}`) });

export interface Person {
  readonly name: string;
  readonly identity: string;
  readonly keys: SignatureKeys;
}

export async function person(suite: Suite, name: string): Promise<Person> {
  return { name, identity: identityNamed(name), keys: await generateSignatureKeys(suite) };
}

export function packageOf(suite: Suite, who: Person, lastResort = false): Promise<NewKeyPackage> {
  return createKeyPackage(suite, {
    identity: who.identity,
    keys: who.keys,
    now: NOW,
    lifetimeMs: 80 * DAY,
    lastResort,
  });
}

export function rolesWith(...names: string[]): GroupRoles {
  return { admins: names.map(accountNamed).sort(), invite: 'admins', join: 'open' };
}

export async function founded(
  suite: Suite,
  founder: Person,
  groupId = nodeSha256(toUtf8(founder.name)),
  roles = rolesWith(founder.name),
) {
  const { identity, keys } = founder;
  return createGroup(suite, trusting, { groupId, identity, keys, roles, now: NOW });
}

/** A group of these people; the first one founded it and added the others in one commit. */
export async function groupOf(
  suite: Suite,
  names: readonly string[],
): Promise<{ people: Person[]; states: GroupState[] }> {
  const people = await Promise.all(names.map((name) => person(suite, name)));
  const { state } = await founded(suite, people[0]!);
  if (people.length === 1) return { people, states: [state] };
  const packages = await Promise.all(people.slice(1).map((who) => packageOf(suite, who)));
  const committed = await createCommit(suite, state, {
    add: packages.map((own) => own.bytes),
    inlineTree: true,
    groupInfoTree: false,
    now: NOW,
  });
  const joined = await Promise.all(packages.map((own) => mustJoin(suite, committed.welcome!, own)));
  return { people, states: [committed.next, ...joined] };
}

export async function mustJoin(suite: Suite, welcome: Uint8Array, keyPackage: NewKeyPackage, tree?: Uint8Array) {
  const joined = await joinFromWelcome(suite, trusting, {
    welcome,
    keyPackage,
    ...(tree === undefined ? {} : { tree }),
  });
  if (joined.kind === 'refused') throw new Error(`join refused: ${joined.code}`, { cause: joined.cause });
  return joined.state;
}

export async function mustReceive<Kind extends Received['kind']>(
  suite: Suite,
  state: GroupState,
  bytes: Uint8Array,
  kind: Kind,
): Promise<Extract<Received, { kind: Kind }>> {
  const received = await receive(suite, state, bytes);
  if (received.kind !== kind) {
    const why = received.kind === 'rejected' ? received.code : received.kind;
    throw new Error(`expected ${kind}, got ${why}`, {
      cause: received.kind === 'rejected' ? received.cause : undefined,
    });
  }
  return received as Extract<Received, { kind: Kind }>;
}
