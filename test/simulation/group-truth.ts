import { inspectMessage } from '../../src/mls/framing.ts';
import { type KnownProposal, summarizeCommit, summarizeProposal } from '../../src/mls/handshake.ts';
import { parseIdentity } from '../../src/mls/identity.ts';
import { foldRoster, type Roster } from '../../src/mls/roster.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { equalBytes } from '../../src/wire/bytes.ts';
import {
  decodeEntry,
  EMPTY_HEAD,
  type GroupEntry,
  type HandshakeEntry,
  isGroupEntry,
  nextHead,
} from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import type { Violation } from './violation.ts';

/** From its first entry on a device may read; `joins` are the epochs it got keys for, and where. */
export interface Membership {
  readonly from: number;
  to?: number;
  readonly joins: { readonly position: number; readonly epoch: number }[];
}

interface Change {
  readonly members: ReadonlySet<DeviceId>;
  /** Those that begin in the new epoch. */
  readonly withNewKeys: readonly DeviceId[];
}

export interface TrueEntry {
  readonly entry: GroupEntry;
  readonly bytes: Uint8Array;
  readonly head: Uint8Array;
}

/**
 * One group as it must be: the first node that shows an entry says what it is, everybody else has to agree. Rosters come
 * from the commits alone, without the tables of any node.
 */
export interface GroupTruth {
  readonly id: GroupId;
  readonly entries: readonly TrueEntry[];
  readonly epoch: number;
  readonly memberships: ReadonlyMap<DeviceId, readonly Membership[]>;
  readonly members: ReadonlySet<DeviceId>;
  /** Of each epoch so far. */
  readonly rosters: readonly ReadonlySet<DeviceId>[];
  /** Behind the entry at this position. */
  rosterAt(position: number): ReadonlySet<DeviceId>;
  /** Takes what somebody sees at a position. */
  see(position: number, bytes: Uint8Array, head: Uint8Array, who: string): Violation | undefined;
  /** Of an entry that is compacted: on the way there a new fold has it without its ciphertext. */
  seeHead(position: number, head: Uint8Array, who: string): Violation | undefined;
  mayRead(device: DeviceId, position: number): boolean;
  /** Where the message stands that this device sent under this id. */
  positionOf(device: DeviceId, id: string): number | undefined;
  /** Which commit begins an epoch. */
  commitInto(epoch: number): string | undefined;
  /** The group as it was behind its first so many entries. */
  until(count: number): GroupTruth;
  /** Whether the device has keys for what was sent in this epoch and stands at this position. */
  hasKeys(device: DeviceId, position: number, epoch: number): boolean;
}

/** Whether the chain of a group leads here. */
export function isHead(truth: GroupTruth | undefined, position: number, head: Uint8Array): boolean {
  const placed = truth?.entries[position - 1];
  return placed !== undefined && equalBytes(placed.head, head);
}

/** @param begun the roster of the first epoch; `declared`: an opaque group, whose roster is what its members declare */
export function createGroupTruth(id: GroupId, creator: DeviceId, begun: Roster | 'declared'): GroupTruth {
  const entries: TrueEntry[] = [];
  const memberships = new Map<DeviceId, Membership[]>([[creator, [{ from: 1, joins: [{ position: 1, epoch: 0 }] }]]]);
  const messageIds = new Map<string, number>();
  const isOpaque = begun === 'declared';
  let roster: Roster = isOpaque ? [] : begun;
  let pending: KnownProposal[] = [];
  let epoch = 0;
  let members: ReadonlySet<DeviceId> = isOpaque ? new Set([creator]) : devicesOf(roster);
  const rosters = [members];

  const place = (entry: GroupEntry): string | undefined => {
    switch (entry.kind) {
      case 'message':
        if (!members.has(entry.sender)) return 'a message of somebody who is no member';
        if (entry.epoch > epoch || entry.epoch < epoch - DEFAULT_LIMITS.pastEpochs) {
          return `a message of epoch ${entry.epoch} in epoch ${epoch}`;
        }
        if (messageIds.has(`${entry.sender} ${entry.id}`)) return 'a message that was placed before';
        messageIds.set(`${entry.sender} ${entry.id}`, entry.position);
        return undefined;
      case 'proposal': {
        if (isOpaque) return undefined;
        const summary = summarizeProposal(entry.payload, nodeSha256);
        if (summary.kind !== 'proposal') return summary.reason;
        pending.push(summary);
        return undefined;
      }
      case 'commit':
        return placeCommit(entry);
      default:
        return undefined;
    }
  };
  const placeCommit = (entry: HandshakeEntry): string | undefined => {
    if (entry.epoch !== epoch) return `a commit of epoch ${entry.epoch} in epoch ${epoch}`;
    const change = isOpaque ? declaredIn(entry) : committedIn(entry);
    if (typeof change === 'string') return change;
    epoch += 1;
    const before = members;
    members = change.members;
    rosters.push(members);
    const { position } = entry;
    for (const device of before) {
      const open = memberships.get(device)?.at(-1);
      if (!members.has(device) && open !== undefined) open.to = position;
    }
    for (const device of members) {
      if (before.has(device)) continue;
      const opened: Membership = { from: position, joins: [] };
      memberships.set(device, [...(memberships.get(device) ?? []), opened]);
    }
    for (const device of change.withNewKeys) memberships.get(device)?.at(-1)?.joins.push({ position, epoch });
    return undefined;
  };
  const committedIn = ({ payload }: HandshakeEntry): Change | string => {
    const commit = summarizeCommit(payload, pending, nodeSha256);
    if (commit.kind !== 'commit') return commit.reason;
    const folded = foldRoster(roster, commit);
    if (folded.kind !== 'folded') return folded.reason;
    roster = folded.roster;
    pending = [];
    return {
      members: devicesOf(roster),
      withNewKeys: folded.added.flatMap(({ identity }) => parseIdentity(identity)?.device ?? []),
    };
  };
  const declaredIn = ({ payload, sender, roster: declared }: HandshakeEntry): Change | string => {
    if (declared === undefined) return 'a commit of an opaque group that declares nothing';
    const next = new Set([...members, ...declared.added].filter((device) => !declared.removed.includes(device)));
    // whoever joins from outside does so in public, here as well
    const isExternal = inspectMessage(payload).kind === 'commit';
    return { members: next, withNewKeys: isExternal ? [...declared.added, sender] : declared.added };
  };

  return {
    id,
    entries,
    get epoch() {
      return epoch;
    },
    memberships,
    get members() {
      return members;
    },
    rosters,
    rosterAt: (position) =>
      rosters[entries.slice(0, position).filter(({ entry }) => entry.kind === 'commit').length] ?? new Set(),
    see(position, bytes, head, who) {
      const known = entries[position - 1];
      if (known !== undefined) {
        if (equalBytes(known.bytes, bytes) && equalBytes(known.head, head)) return undefined;
        return { rule: 'heads are equal', text: `${who} has another entry ${position} in ${id}` };
      }
      if (position !== entries.length + 1) {
        return { rule: 'positions are contiguous', text: `${who} shows entry ${position} after ${entries.length}` };
      }
      if (!equalBytes(nextHead(entries.at(-1)?.head ?? EMPTY_HEAD, bytes, nodeSha256), head)) {
        return { rule: 'heads are equal', text: `${who} has a wrong head at ${position} in ${id}` };
      }
      const entry = decodeEntry(bytes);
      if (!isGroupEntry(entry) || entry.position !== position) {
        return { rule: 'positions are contiguous', text: `${who} shows another entry at ${position}` };
      }
      entries.push({ entry, bytes, head });
      const wrong = place(entry);
      if (wrong === undefined) return undefined;
      const rule = entry.kind === 'commit' ? 'one commit an epoch' : 'delivered exactly once';
      return { rule, text: `${who} placed at ${position} in ${id}: ${wrong}` };
    },
    seeHead: (position, head, who) =>
      equalBytes(entries[position - 1]?.head ?? EMPTY_HEAD, head)
        ? undefined
        : { rule: 'heads are equal', text: `${who} has another head at ${position} in ${id}` },
    positionOf: (device, id) => messageIds.get(`${device} ${id}`),
    mayRead: (device, position) =>
      (memberships.get(device) ?? []).some(({ from, to }) => from <= position && position <= (to ?? position)),
    commitInto(of) {
      const commits = entries.filter(({ entry }) => entry.kind === 'commit');
      const { entry } = commits[of - 1] ?? {};
      return entry === undefined ? undefined : `${entry.sender} ${entry.id}`;
    },
    until(count) {
      const made = createGroupTruth(id, creator, begun);
      for (const { entry, bytes, head } of entries.slice(0, count)) made.see(entry.position, bytes, head, 'the log');
      return made;
    },
    hasKeys(device, position, of) {
      const membership = (memberships.get(device) ?? []).findLast(({ from }) => from <= position);
      const join = membership?.joins.findLast((candidate) => candidate.position <= position);
      return join !== undefined && of >= join.epoch;
    },
  };
}

function devicesOf(roster: Roster): Set<DeviceId> {
  return new Set(
    roster.flatMap((leaf) => {
      const device = leaf === null ? undefined : parseIdentity(leaf.identity)?.device;
      return device === undefined ? [] : [device];
    }),
  );
}
