/** What the model of a server holds, and the few ways in which it changes. */
import type { KnownProposal } from '../../../src/mls/handshake.ts';
import { parseIdentity } from '../../../src/mls/identity.ts';
import type { GroupRoles } from '../../../src/mls/roles.ts';
import type { Roster } from '../../../src/mls/roster.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { toBase64Url } from '../../../src/wire/bytes.ts';
import { type Entry, encodeEntry, type GroupEntry, nextHead } from '../../../src/wire/entry.ts';
import type { AccountId, DeviceId, GroupId, Position } from '../../../src/wire/ids.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { Account } from '../../../src/wire/schemas/accounts.ts';
import type { Accepted } from '../../../src/wire/schemas/groups.ts';
import { receiptFor } from './receipts.ts';

export interface KeyPackageBytes {
  readonly ref: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface Stock {
  oneTime: KeyPackageBytes[];
  lastResort?: KeyPackageBytes;
}

export interface FakeGroup {
  readonly id: GroupId;
  readonly bytes: Uint8Array;
  readonly name?: string;
  epoch: number;
  position: number;
  head: Uint8Array;
  roles: GroupRoles;
  roster: Roster;
  groupInfo: Uint8Array;
  trees: Map<number, Uint8Array>;
  proposals: KnownProposal[];
  entries: { entry: GroupEntry; bytes: Uint8Array; head: Uint8Array }[];
}

export interface LogItem {
  readonly readers: ReadonlySet<DeviceId>;
  readonly bytes: Uint8Array;
  readonly entry: Entry;
}

export interface FakeWorld {
  readonly log: LogItem[];
  readonly groups: Map<GroupId, FakeGroup>;
  readonly accounts: Map<AccountId, Account>;
  readonly devices: Map<DeviceId, AccountId>;
  readonly stocks: Map<DeviceId, Stock>;
  /** Of requests by device and idempotency key. */
  readonly answers: Map<string, unknown>;
  /** Positions of messages by device and id. */
  readonly placed: Map<string, number>;
  readonly blobs: Map<string, Uint8Array>;
  readonly offers: Map<string, Uint8Array>;
  /** Streams that wait for something to come. */
  readonly wakers: Set<() => void>;
  incarnation: number;
  /** Moves with each entry, and by nothing else. */
  clock: number;
}

export function createWorld(): FakeWorld {
  return {
    log: [],
    groups: new Map(),
    accounts: new Map(),
    devices: new Map(),
    stocks: new Map(),
    answers: new Map(),
    placed: new Map(),
    blobs: new Map(),
    offers: new Map(),
    wakers: new Set(),
    incarnation: 1,
    clock: 1_700_000_000_000,
  };
}

export function wake({ wakers }: FakeWorld): void {
  for (const waker of wakers) waker();
}

/** Writes an entry that these devices read. */
export function append(world: FakeWorld, readers: Iterable<DeviceId>, entry: Entry): Uint8Array {
  const bytes = encodeEntry(entry);
  world.log.push({ readers: new Set(readers), bytes, entry });
  wake(world);
  return bytes;
}

/** Gives an entry the next place of its group; its members read it, and whoever else is named. */
export function place(
  world: FakeWorld,
  group: FakeGroup,
  make: (position: Position, time: number) => GroupEntry,
  others: Iterable<DeviceId> = [],
): void {
  world.clock += 1;
  group.position += 1;
  const entry = make(group.position as Position, world.clock);
  const bytes = append(world, [...readersOf(group), ...others], entry);
  group.head = nextHead(group.head, bytes, nodeSha256);
  group.entries.push({ entry, bytes, head: group.head });
}

export function readersOf({ roster }: FakeGroup): DeviceId[] {
  return roster.flatMap((leaf) => (leaf === null ? [] : [parseIdentity(leaf.identity)!.device]));
}

export function isMember({ roster }: FakeGroup, device: DeviceId): boolean {
  return roster.some((leaf) => leaf !== null && parseIdentity(leaf.identity)?.device === device);
}

export function hasAccount({ roster }: FakeGroup, account: AccountId): boolean {
  return roster.some((leaf) => leaf !== null && parseIdentity(leaf.identity)?.account === account);
}

/** @throws ProblemError `unauthenticated` */
export function accountOf({ devices }: FakeWorld, device: DeviceId): AccountId {
  const account = devices.get(device);
  if (account !== undefined) return account;
  throw new ProblemError('unauthenticated', 'unknown device', { members: { reason: 'unknown-key' } });
}

/** @throws ProblemError `not-found` */
export function knownGroup({ groups }: FakeWorld, id: GroupId): FakeGroup {
  const group = groups.get(id);
  if (group === undefined) throw new ProblemError('not-found', 'no such group');
  return group;
}

/** @throws ProblemError `not-found`, `forbidden` */
export function groupFor(world: FakeWorld, id: GroupId, device: DeviceId): FakeGroup {
  const group = knownGroup(world, id);
  if (!isMember(group, device)) throw new ProblemError('forbidden', 'you are no member');
  return group;
}

/** The answer to what was just placed. */
export function accepted({ clock }: FakeWorld, { bytes, position, head, epoch }: FakeGroup): Accepted {
  return { position, head, epoch, time: clock, receipt: receiptFor(bytes, position, head, clock) } as Accepted;
}

/** With the entries that whoever was in `epoch` has missed. */
export function conflict(group: FakeGroup, epoch: number): ProblemError {
  const from = group.entries.findIndex(({ entry }) => 'epoch' in entry && entry.epoch >= epoch);
  const entries = from === -1 ? [] : group.entries.slice(from).map(({ bytes }) => toBase64Url(bytes));
  return new ProblemError('epoch-conflict', 'the epoch is over', {
    members: { currentEpoch: group.epoch, entries, more: false },
  });
}
