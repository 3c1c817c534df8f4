import type { CommitAccepted, LogEvent, MessageBatch, ProposalReceived } from '../../src/log/events.ts';
import type { AccountId, ClientId, DeviceId } from '../../src/wire/ids.ts';

const ACCOUNT = 'a'.repeat(32) as AccountId;
const DEVICE = 'd'.repeat(32) as DeviceId;
const TIME = 1_760_000_000_000;

const requested = {
  v: 1,
  time: TIME,
  account: ACCOUNT,
  device: DEVICE,
  requestId: 'request-0000000001' as ClientId,
  requestDigest: new Uint8Array(32).fill(9),
} as const;

export function groupOf(number: number): Uint8Array {
  const group = new Uint8Array(16);
  new DataView(group.buffer).setUint32(12, number);
  return group;
}

export function commit(id: string, group: Uint8Array, epoch = 0, bytes = 8): CommitAccepted {
  const payload = new Uint8Array(bytes).fill(7);
  return { ...requested, id, type: 'commit-accepted', group, epoch, commit: payload, groupInfo: Uint8Array.of(1) };
}

export function proposal(id: string, group: Uint8Array): ProposalReceived {
  return { ...requested, id, type: 'proposal-received', group, epoch: 0, proposal: Uint8Array.of(2) };
}

export function batchOf(group: Uint8Array, ids: readonly string[], bytes = 16): MessageBatch {
  const message = new Uint8Array(bytes).fill(5);
  return {
    group,
    account: ACCOUNT,
    device: DEVICE,
    time: TIME,
    messages: ids.map((id) => [id as ClientId, 1, message]),
  };
}

/** One event of every type, with nothing random in it. */
export const EXAMPLES: readonly LogEvent[] = [
  {
    ...requested,
    id: 'event-account-registered',
    type: 'account-registered',
    name: 'Alice',
    statement: Uint8Array.of(1, 2, 3),
    signature: new Uint8Array(64).fill(4),
    keyPackages: [{ ref: Uint8Array.of(5), keyPackage: Uint8Array.of(6, 7), lastResort: true, notAfter: TIME + 1 }],
  },
  {
    ...requested,
    id: 'event-account-changed',
    type: 'account-changed',
    owner: ACCOUNT,
    name: 'Alicia',
    statement: Uint8Array.of(1, 2, 3),
    signature: new Uint8Array(64).fill(4),
    countersignature: new Uint8Array(64).fill(5),
    keyPackages: [],
  },
  {
    ...requested,
    id: 'event-key-packages-published',
    type: 'key-packages-published',
    keyPackages: [{ ref: Uint8Array.of(5), keyPackage: Uint8Array.of(6, 7), lastResort: false, notAfter: TIME + 1 }],
  },
  {
    ...requested,
    id: 'event-key-packages-claimed',
    type: 'key-packages-claimed',
    owner: 'b'.repeat(32) as AccountId,
    group: groupOf(1),
    refs: [Uint8Array.of(5), Uint8Array.of(8)],
  },
  {
    ...requested,
    id: 'event-group-created',
    type: 'group-created',
    group: groupOf(1),
    name: 'tea',
    groupInfo: Uint8Array.of(9),
  },
  { ...commit('event-commit-accepted', groupOf(1), 3), welcome: Uint8Array.of(10, 11) },
  proposal('event-proposal-received', groupOf(1)),
  {
    ...requested,
    id: 'event-opaque-group-created',
    type: 'opaque-group-created',
    group: groupOf(2),
    name: 'salt',
    groupInfo: Uint8Array.of(9),
  },
  {
    ...requested,
    id: 'event-opaque-commit-accepted',
    type: 'opaque-commit-accepted',
    group: groupOf(2),
    epoch: 3,
    commit: Uint8Array.of(7),
    welcome: Uint8Array.of(10, 11),
    groupInfo: Uint8Array.of(1),
    added: [{ account: 'b'.repeat(32) as AccountId, device: 'e'.repeat(32) as DeviceId }],
    removed: ['f'.repeat(32) as DeviceId],
  },
  {
    ...requested,
    id: 'event-commit-reported',
    type: 'commit-reported',
    group: groupOf(1),
    epoch: 3,
    position: 9,
    commit: new Uint8Array(32).fill(8),
    committer: { account: 'b'.repeat(32) as AccountId, device: 'e'.repeat(32) as DeviceId },
    reason: 'cannot-process',
    code: 'invalid-commit',
  },
  {
    v: 1,
    id: 'event-messages-sent',
    time: TIME,
    type: 'messages-sent',
    batches: [batchOf(groupOf(1), ['message-000000001'])],
  },
  {
    v: 1,
    id: 'event-messages-compacted',
    time: TIME,
    type: 'messages-compacted',
    batches: [
      {
        ...batchOf(groupOf(1), []),
        messages: [
          ['message-000000001' as ClientId, 1, null, new Uint8Array(32).fill(6)],
          ['message-000000002' as ClientId, 1, new Uint8Array(16).fill(5)],
        ],
      },
    ],
  },
  {
    v: 1,
    id: 'event-group-compacted',
    time: TIME,
    type: 'group-compacted',
    group: groupOf(1),
    logStart: 9,
    head: new Uint8Array(32).fill(7),
  },
  { v: 1, id: 'event-log-started', time: TIME, type: 'log-started', incarnation: 'first', domain: 'chat.example' },
];
