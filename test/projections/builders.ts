import { createHash } from 'node:crypto';
import type {
  AccountRegistered,
  CommitAccepted,
  GroupCreated,
  KeyPackagesClaimed,
  KeyPackagesPublished,
  LogEvent,
  LogStarted,
  MessageBatch,
  MessagesSent,
  ProposalReceived,
  StoredKeyPackage,
} from '../../src/log/events.ts';
import { requestEventId } from '../../src/log/request-event-id.ts';
import type { CommitSummary, ProposalSummary } from '../../src/mls/handshake.ts';
import { formatIdentity } from '../../src/mls/identity.ts';
import type { GroupRoles } from '../../src/mls/roles.ts';
import { foldRoster, type Roster } from '../../src/mls/roster.ts';
import type { GroupInfoSummary, Handshakes } from '../../src/projections/fold/handshakes.ts';
import { encodeRegistration } from '../../src/wire/account-statement.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import {
  type AccountId,
  accountIdOf,
  type ClientId,
  type DeviceId,
  deviceIdOf,
  newClientId,
} from '../../src/wire/ids.ts';

export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());
export const T0 = 1_700_000_000_000;
export const DAY = 24 * 60 * 60 * 1000;

/** Bytes that depend on nothing but their name. */
export function bytesOf(name: string, length = 32): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 32) {
    out.set(sha256(new TextEncoder().encode(`${name}/${i}`)).subarray(0, Math.min(32, length - i)), i);
  }
  return out;
}

/** Handshakes that are plain CBOR of what the fold has to know of them. */
export const fakeHandshakes: Handshakes = {
  groupInfo(bytes) {
    const value = read(bytes);
    return value === undefined || !('roster' in value) ? undefined : (value as unknown as GroupInfoSummary);
  },
  commit(bytes, pending) {
    const value = read(bytes) as (Partial<CommitSummary> & { refs?: Uint8Array[] }) | undefined;
    if (value?.kind !== 'commit') return { kind: 'malformed', reason: 'not a commit' };
    const known = new Map(pending.map((proposal) => [hex(proposal.ref), proposal]));
    const refs = value.refs ?? [];
    const applied = refs.map((ref) => known.get(hex(ref))).filter((proposal) => proposal !== undefined);
    return {
      updates: [],
      adds: [],
      rolesChanged: value.roles !== undefined,
      externalInit: value.sender?.kind === 'new-member-commit',
      referenced: applied.map(({ ref }) => ref),
      unknownRefs: refs.filter((ref) => !known.has(hex(ref))),
      unsupported: [],
      hasPath: true,
      authenticatedData: new Uint8Array(0),
      ...value,
      removes: [
        ...(value.removes ?? []),
        ...applied.flatMap(({ proposal }) => (proposal.kind === 'remove' ? [proposal.leaf] : [])),
      ],
    } as CommitSummary;
  },
  proposal(bytes) {
    const value = read(bytes);
    if (value?.['kind'] !== 'proposal') return { kind: 'malformed', reason: 'not a proposal' };
    return { ...value, ref: sha256(bytes) } as unknown as ReturnType<Handshakes['proposal']>;
  },
  foldRoster,
};

function read(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    return decodeCbor(bytes) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export interface TestDevice {
  readonly name: string;
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly leaf: { readonly identity: string; readonly signatureKey: Uint8Array };
  readonly statement: Uint8Array;
}

/** A device of an account of its own; everything about it follows from its name. */
export function testDevice(name: string): TestDevice {
  const key = bytesOf(`${name}/device`);
  const statement = encodeRegistration({
    v: 1,
    type: 'register',
    domain: 'localhost',
    name,
    device: { key, label: 'laptop', signatureKeys: [bytesOf(`${name}/signature`)] },
    time: T0,
    nonce: bytesOf(`${name}/nonce`, 16),
  });
  const account = accountIdOf(statement, sha256);
  const device = deviceIdOf(key, sha256);
  const identity = formatIdentity({ domain: 'localhost', account, device });
  return { name, account, device, statement, leaf: { identity, signatureKey: bytesOf(`${name}/signature`) } };
}

/** Makes events one after the other, with a clock and ids of its own: the same calls give the same events. */
export function createScript(startedAt = T0) {
  let time = startedAt;
  let count = 0;
  const clientId = (): ClientId => {
    count += 1;
    return newClientId(time, () => bytesOf(`id ${count}`, 10));
  };
  const requested = (by: TestDevice, requestId = clientId()) => {
    time += 10;
    return {
      v: 1 as const,
      id: requestEventId(by.device, requestId),
      time,
      account: by.account,
      device: by.device,
      requestId,
      requestDigest: bytesOf(`digest ${requestId}`),
    };
  };
  const script = {
    now: () => time,
    advance(ms: number) {
      time += ms;
    },
    clientId,
    started: (incarnation = 'first'): LogStarted => ({
      v: 1,
      type: 'log-started',
      id: `started-${incarnation}`,
      time,
      incarnation,
      domain: 'localhost',
    }),
    register: (by: TestDevice, keyPackages: readonly StoredKeyPackage[] = []): AccountRegistered => ({
      ...requested(by),
      type: 'account-registered',
      name: by.name,
      statement: by.statement,
      signature: bytesOf('signature', 64),
      keyPackages,
    }),
    publish: (by: TestDevice, keyPackages: readonly StoredKeyPackage[]): KeyPackagesPublished => ({
      ...requested(by),
      type: 'key-packages-published',
      keyPackages,
    }),
    claim: (by: TestDevice, owner: TestDevice, group: Uint8Array, refs: readonly Uint8Array[]): KeyPackagesClaimed => ({
      ...requested(by),
      type: 'key-packages-claimed',
      owner: owner.account,
      group,
      refs,
    }),
    createGroup: (by: TestDevice, group: Uint8Array, name?: string): GroupCreated => ({
      ...requested(by),
      type: 'group-created',
      group,
      ...(name === undefined ? {} : { name }),
      groupInfo: encodeCbor({
        groupId: group,
        epoch: 0,
        roster: [by.leaf] satisfies Roster,
        roles: { admins: [by.account], invite: 'admins', join: 'invite' } satisfies GroupRoles,
      }),
    }),
    commit: (
      by: TestDevice,
      group: Uint8Array,
      epoch: number,
      leaf: number | 'external',
      change: {
        readonly adds?: readonly TestDevice[];
        readonly removes?: readonly number[];
        readonly refs?: readonly Uint8Array[];
        readonly roles?: GroupRoles;
      } = {},
    ): CommitAccepted => {
      const { adds = [], removes = [], refs = [], roles } = change;
      const request = requested(by);
      const commit = encodeCbor({
        kind: 'commit',
        groupId: group,
        epoch,
        sender: leaf === 'external' ? { kind: 'new-member-commit' } : { kind: 'member', leaf },
        committer: by.leaf,
        adds: adds.map((device) => ({ ...device.leaf, keyPackageRef: bytesOf(`${device.name}/kp`) })),
        removes,
        refs,
        roles,
        salt: request.id,
      });
      return {
        ...request,
        type: 'commit-accepted',
        group,
        epoch,
        commit,
        ...(adds.length === 0 ? {} : { welcome: bytesOf(`welcome ${request.id}`, 300) }),
        groupInfo: encodeCbor({ groupId: group, epoch: epoch + 1, roster: [] }),
      };
    },
    propose: (
      by: TestDevice,
      group: Uint8Array,
      epoch: number,
      leaf: number,
      proposal: ProposalSummary,
    ): ProposalReceived => {
      const request = requested(by);
      const bytes = encodeCbor({
        kind: 'proposal',
        groupId: group,
        epoch,
        sender: { kind: 'member', leaf },
        proposal,
        salt: request.id,
      });
      return { ...request, type: 'proposal-received', group, epoch, proposal: bytes };
    },
    batch: (
      by: TestDevice,
      group: Uint8Array,
      epoch: number,
      messages: readonly (string | { readonly id: ClientId; readonly text: string })[],
    ): MessageBatch => {
      time += 1;
      return {
        group,
        account: by.account,
        device: by.device,
        time,
        messages: messages.map((message) =>
          typeof message === 'string'
            ? [clientId(), epoch, bytesOf(message, 40)]
            : [message.id, epoch, bytesOf(message.text, 40)],
        ),
      };
    },
    send: (...batches: readonly MessageBatch[]): MessagesSent => {
      time += 1;
      count += 1;
      return { v: 1, type: 'messages-sent', id: `messages-${count}`, time, batches };
    },
  };
  return script;
}

export type Script = ReturnType<typeof createScript>;

export function keyPackage(name: string, options: { lastResort?: boolean; notAfter?: number } = {}): StoredKeyPackage {
  const { lastResort = false, notAfter = T0 + 90 * DAY } = options;
  return { ref: bytesOf(`ref ${name}`), keyPackage: bytesOf(`package ${name}`, 60), lastResort, notAfter };
}

/** A short life of three devices and two groups that touches every kind of event. */
export function sampleLog(script: Script = createScript()): {
  events: LogEvent[];
  devices: TestDevice[];
  groups: Uint8Array[];
} {
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(testDevice) as [TestDevice, TestDevice, TestDevice];
  const tea = bytesOf('tea', 16);
  const ink = bytesOf('ink', 16);
  const leave = script.propose(bob, tea, 2, 1, { kind: 'remove', leaf: 1 });
  const events: LogEvent[] = [
    script.started(),
    script.register(alice, [keyPackage('a1'), keyPackage('a-last', { lastResort: true })]),
    script.register(bob, [keyPackage('b1'), keyPackage('b2')]),
    script.register(carol),
    script.createGroup(alice, tea, 'tea'),
    script.claim(alice, bob, tea, [keyPackage('b1').ref]),
    script.send(script.batch(alice, tea, 0, ['alone 1', 'alone 2'])),
    script.commit(alice, tea, 0, 0, { adds: [bob] }),
    script.send(script.batch(alice, tea, 1, ['hi bob']), script.batch(bob, tea, 1, ['hi alice', 'how are you'])),
    script.publish(carol, [keyPackage('c1'), keyPackage('c-last', { lastResort: true })]),
    script.createGroup(carol, ink),
    script.send(script.batch(carol, ink, 0, ['notes 1', 'notes 2', 'notes 3'])),
    script.commit(alice, tea, 1, 0, { adds: [carol] }),
    script.commit(bob, tea, 1, 1), // lost the epoch
    script.send(script.batch(bob, tea, 1, ['from the epoch before']), script.batch(carol, tea, 2, ['here too'])),
    leave,
    script.commit(alice, tea, 2, 0, { refs: [sha256(leave.proposal)] }),
    script.send(script.batch(bob, tea, 2, ['nobody reads this'])),
    script.commit(bob, tea, 3, 'external'),
    script.send(script.batch(bob, tea, 4, ['back again']), script.batch(carol, ink, 0, ['notes 4'])),
    script.claim(alice, carol, tea, [keyPackage('c-last').ref]),
    script.register(testDevice('dave')),
    script.createGroup(bob, bytesOf('tea 2', 16), 'TEA'), // the name is taken
  ];
  return { events, devices: [alice, bob, carol], groups: [tea, ink] };
}

const LARGE_LOG_EVENTS = 60;
const LARGE_LOG_TEXTS = Array.from({ length: 100 }, (_, i) => `${i}`);

/** Of alice and one group, with more rows than are looked at before tables are used. */
export function largeLog(script: Script = createScript()): LogEvent[] {
  const alice = testDevice('alice');
  const group = bytesOf('g', 16);
  return [
    script.started(),
    script.register(alice),
    script.createGroup(alice, group),
    ...Array.from({ length: LARGE_LOG_EVENTS }, () => script.send(script.batch(alice, group, 0, LARGE_LOG_TEXTS))),
  ];
}
