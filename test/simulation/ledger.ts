import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { LogEvent } from '../../src/log/events.ts';
import { summarizeCommit } from '../../src/mls/handshake.ts';
import { parseIdentity } from '../../src/mls/identity.ts';
import { rosterOfGroupInfo } from '../../src/mls/roster.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import type { GroupHead } from '../../src/projections/fold/rows.ts';
import { equalBytes, fromBase64Url, toBase64Url } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { cursorFromBlock } from '../../src/wire/cursor.ts';
import { decodeEntry, isGroupEntry } from '../../src/wire/entry.ts';
import type { Cursor, DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Page } from '../../src/wire/page.ts';
import type { ProblemError } from '../../src/wire/problems.ts';
import type { MessagesResponse } from '../../src/wire/schemas/groups.ts';
import { type AccountLedger, createAccountLedger } from './account-ledger.ts';
import {
  type Branch,
  branchesOf,
  branchOff,
  type CommitEvent,
  firstBranch,
  lastIncarnation,
  type OpenedCursor,
  openCursor,
} from './branches.ts';
import { isAsSent } from './changed-messages.ts';
import type { Exchange } from './client-network.ts';
import {
  asksToRejoin,
  isDoubtOfBlind,
  isOfBlind,
  isPlacedInBranch,
  isRefusedMeanwhile,
  isToldOfGoingBack,
  tellsOfAbsence,
} from './gone-back.ts';
import { createGroupTruth, type GroupTruth, isHead } from './group-truth.ts';
import { judgeLine, type Typed } from './judge-line.ts';
import { isLeftUnseen } from './left-alone.ts';
import { createReceiptTruth, type ReceiptTruth } from './receipt-truth.ts';
import { createSayings, type Sayings } from './sayings.ts';
import type { ServerNode } from './server-node.ts';
import type { Violation } from './violation.ts';

/** Sees everything that happens and knows what must not. */
export interface Ledger {
  /** As the log has them now. */
  readonly groups: ReadonlyMap<GroupId, GroupTruth>;
  /** What the log held, oldest first, until each time that it went back; the last is what it holds now. */
  readonly branches: readonly Branch[];
  readonly accounts: AccountLedger;
  readonly sayings: Sayings;
  readonly receipts: ReceiptTruth;
  /** First position of a group that nobody may have said to be gone. */
  firstKept(group: GroupId): number;
  group(id: GroupId): GroupTruth | undefined;
  violate(violation: Violation): void;
  /** The log took an event. */
  stored(event: LogEvent, sequence: number): void;
  /** The log went back, and holds these events. */
  wentBack(events: readonly { readonly event: LogEvent }[]): void;
  /** What a cursor says, in whichever life of the log it was given; `undefined`: it is none. */
  opened(cursor: Cursor): OpenedCursor | undefined;
  /** Whether the log went back and on under one name. */
  isInTwo(incarnation: number): boolean;
  /** Whether the log is called so now, and whether it was called anything since. */
  isNow(incarnation: number): boolean;
  isNewest(incarnation: number): boolean;
  /** Whether the chain of a group leads here, in a branch that a cursor of this incarnation can be of. */
  hasHead(group: GroupId, position: number, head: Uint8Array, incarnation: number): boolean;
  /** Whether the log does not hold what a device has read of a group. */
  isLost(group: GroupId, read: { readonly position: number; readonly head?: Uint8Array }): boolean;
  /** A node can be read up to here. */
  folded(node: ServerNode, heads: Iterable<GroupHead>): void;
  /** A node makes its tables anew: everything in them is looked at again. */
  forgotten(node: string): void;
  /** A node said that it took something. */
  answered(device: DeviceId, exchange: Exchange, body: Uint8Array): void;
  /** A node refused something; what it shows with that has to be the caller's to see. */
  refused(device: DeviceId, problem: ProblemError): void;
  served(device: DeviceId, asked: Cursor, page: Page): void;
  authenticated(group: GroupId, epoch: number, authenticator: string, who: string): void;
  /** Somebody stored an epoch with these members: one of the log, or the first of a group that is being made. */
  composed(group: GroupId, epoch: number, devices: readonly DeviceId[], who: string, device: DeviceId): void;
  /** Commits in the log that should count and do not, or the other way round. */
  miscounted(): Violation[];
  /** Somebody's program took a text, or the word that a message is taken back, when its group stood at this position for it. */
  typed(device: DeviceId, group: GroupId, text: string, at: { position: number; head?: Uint8Array } | undefined): void;
  /** Somebody's messages leave, asked of a log that had gone back so often when its stream began. */
  leaves(device: DeviceId, ids: readonly string[], wentBack: number): void;
  /** How often the log had gone back, as far as its sender could know, when a message left first. */
  leftIn(device: DeviceId, id: string): number | undefined;
  shown(who: string, device: DeviceId, line: HistoryLine): void;
  /** The text at a position, as everybody who could read it agrees. */
  textAt(group: GroupId, position: number): string | undefined;
  positionOf(text: string): { readonly group: GroupId; readonly position: number } | undefined;
}

export function createLedger(violate: (violation: Violation) => void): Ledger {
  const accounts = createAccountLedger(violate);
  const sayings = createSayings();
  const branches: Branch[] = [firstBranch()];
  const now = (): Branch => branches.at(-1)!;
  const checked = new Map<string, number>();
  const authenticators = new Map<string, Map<string, string>>();
  /** Devices that left a group by themselves, with its id. */
  const leftAlone = new Set<string>();
  /** Of each message the first time that it left: how often the log had gone back, as far as its sender could know. */
  const left = new Map<string, number>();
  /** Devices that were told to join a group again because its log went back, with its id. */
  const wereShutOut = new Set<string>();
  /** What each device typed, and how far it had read by then. */
  const typed = new Map<DeviceId, Typed[]>();
  const known = {
    ...{ accounts, sayings },
    hasLeft: (device: DeviceId, group: GroupId) => leftAlone.has(`${device} ${group}`),
    typed: (device: DeviceId) => typed.get(device) ?? [],
  };

  const leftIn = (device: DeviceId, id: string): number | undefined => left.get(`${device} ${id}`);
  const promised = (device: DeviceId, id: GroupId, position: number, key: string, head?: Uint8Array): void => {
    // a node that has not heard yet that the log went back says what stood there before
    const stood = branches.flatMap(({ groups }) => groups.get(id)?.entries[position - 1] ?? []);
    const placed = stood.findLast(({ entry }) => entry.id === key && entry.sender === device);
    if (placed === undefined) {
      violate({ rule: 'acknowledged is kept', text: `${key} was said to stand at ${position} in ${id}, and does not` });
    } else if (head !== undefined && !equalBytes(placed.head, head)) {
      violate({ rule: 'heads are equal', text: `the answer to ${key} names another head at ${position} in ${id}` });
    }
  };
  const checkVisible = (device: DeviceId, bytes: Uint8Array): void => {
    const entry = decodeEntry(bytes);
    if (!isGroupEntry(entry)) return;
    const id = toBase64Url(entry.group) as GroupId;
    if (branches.some(({ groups }) => isPlacedInBranch(groups.get(id), entry, bytes, device, branches.length))) return;
    violate({ rule: 'nothing outside the window', text: `${device} was shown entry ${entry.position} of ${id}` });
  };

  return {
    get groups() {
      return now().groups;
    },
    branches,
    accounts,
    sayings,
    receipts: createReceiptTruth(violate),
    firstKept: (id) => now().firstKept.get(id) ?? 1,
    group: (id) => now().groups.get(id),
    violate,
    wentBack(events) {
      accounts.wentBack(events);
      branches.push(branchOff(now(), events));
      checked.clear();
    },
    opened: (cursor) => openCursor(branches, cursor),
    isInTwo: (incarnation) => branchesOf(branches, incarnation).length > 1,
    isNow: (incarnation) => branchesOf(branches, incarnation).includes(now()),
    isNewest: (incarnation) => incarnation === lastIncarnation(branches),
    hasHead: (id, position, head, incarnation) =>
      branchesOf(branches, incarnation).some(({ groups }) => isHead(groups.get(id), position, head)),
    isLost: (id, { position, head }) => head === undefined || !isHead(now().groups.get(id), position, head),
    stored(event, sequence) {
      const { groups, firstKept, commits, taken, incarnations, sequences } = now();
      accounts.stored(event);
      if (event.type === 'log-started') incarnations.push(event.incarnation);
      if (event.type === 'group-compacted') {
        const id = toBase64Url(event.group) as GroupId;
        firstKept.set(id, Math.max(firstKept.get(id) ?? 1, event.logStart));
      }
      if (event.type === 'group-created') {
        const id = toBase64Url(event.group) as GroupId;
        if (!groups.has(id)) {
          groups.set(id, createGroupTruth(id, event.device, rosterOfGroupInfo(event.groupInfo) ?? []));
          sequences.set(id, { created: sequence, entries: [] });
        }
      }
      if (event.type === 'opaque-group-created') {
        const id = toBase64Url(event.group) as GroupId;
        if (!groups.has(id)) {
          groups.set(id, createGroupTruth(id, event.device, 'declared'));
          sequences.set(id, { created: sequence, entries: [] });
        }
      }
      if (event.type !== 'commit-accepted' && event.type !== 'opaque-commit-accepted') return;
      // of or with a device that was revoked before it is nothing but an event: the fold leaves it out, and the epoch goes on
      const isVoid = broughtBy(event).some(accounts.isRevoked);
      taken.push({ event, sequence, isVoid });
      if (isVoid) return;
      const key = `${toBase64Url(event.group)}/${event.epoch}`;
      const other = commits.get(key);
      if (other !== undefined) {
        violate({ rule: 'one commit an epoch', text: `the log took commits at ${other} and ${sequence} for ${key}` });
      }
      commits.set(key, sequence);
    },
    folded(node, heads) {
      // what a node folded of a log that went back is looked at no more
      if (node.wentBack !== branches.length - 1) return;
      const { groups, firstKept, sequences } = now();
      for (const head of heads) {
        const id = toBase64Url(head.group) as GroupId;
        const key = `${node.name}/${id}`;
        const truth = groups.get(id);
        for (let position = (checked.get(key) ?? 0) + 1; position <= head.position; position += 1) {
          const found = node.readModel?.entryAt(id, position as never);
          const wrong =
            found === undefined
              ? undefined
              : position < (firstKept.get(id) ?? 1)
                ? truth?.seeHead(position, found.head, node.name)
                : truth?.see(position, found.bytes, found.head, node.name);
          if (wrong !== undefined) violate(wrong);
          const placed = sequences.get(id)?.entries;
          if (placed !== undefined && placed.length < position) placed.push(node.sequenceOf(id, position) ?? 0);
          if (found === undefined && position >= (firstKept.get(id) ?? 1)) {
            violate({ rule: 'positions are contiguous', text: `${node.name} has no entry ${position} in ${id}` });
          }
        }
        checked.set(key, head.position);
      }
    },
    forgotten(node) {
      for (const key of [...checked.keys()]) if (key.startsWith(`${node}/`)) checked.delete(key);
    },
    answered(device, exchange, answer) {
      const { firstKept } = now();
      accounts.answered(exchange, device, answer);
      const { operation, key, params, body } = exchange;
      const group = params?.['group'] as GroupId | undefined;
      if (operation === 'postMessages') {
        const { results, logStart } = decodeCbor(answer) as MessagesResponse;
        for (const { id, position } of results) if (position !== undefined) promised(device, group!, position, id);
        if (logStart !== undefined && logStart > (firstKept.get(group!) ?? 1)) {
          violate({ rule: 'a gap is what was compacted', text: `${group} was said to begin at ${logStart} only` });
        }
      } else if (operation === 'postCommit' || operation === 'postProposal') {
        const { position, head } = decodeCbor(answer) as { position: number; head: Uint8Array };
        promised(device, group!, position, key!, head);
      } else if (operation === 'createGroup') {
        const { position, head } = decodeCbor(answer) as { position: number; head: Uint8Array };
        const created = (decodeCbor(body!) as { group: Uint8Array }).group;
        promised(device, toBase64Url(created) as GroupId, position, key!, head);
      } else if (operation === 'getGroupLog') {
        for (const bytes of (decodeCbor(answer) as { entries: Uint8Array[] }).entries) checkVisible(device, bytes);
      }
    },
    refused(device, problem) {
      for (const text of problem.members.entries ?? []) checkVisible(device, fromBase64Url(text)!);
    },
    served(device, asked, page) {
      for (const { group, from, to } of page.gaps ?? []) {
        const id = toBase64Url(group) as GroupId;
        if (branches.some(({ firstKept }) => to < (firstKept.get(id) ?? 1))) continue;
        violate({
          rule: 'a gap is what was compacted',
          text: `${device} was told that ${from} to ${to} of ${id} are gone`,
        });
      }
      for (const bytes of page.entries) checkVisible(device, bytes);
      const cursors = [asked, ...page.entries.map((_, i) => cursorFromBlock(page.cursors, i)), page.cursor];
      cursors
        .map((cursor) => openCursor(branches, cursor))
        .reduce((before, after, i) => {
          if (before === undefined || after === undefined) {
            violate({ rule: 'cursors only grow', text: 'a page has a cursor that is none' });
            return after;
          }
          if (before.incarnation !== undefined && before.incarnation !== after.incarnation) {
            violate({ rule: 'cursors only grow', text: 'a page leads from one life of the log into another' });
            return after;
          }
          const [a, b] = [before.order, after.order];
          const isLast = i === cursors.length - 1;
          const grows = b.sequence > a.sequence || (b.sequence === a.sequence && b.index > a.index);
          if (!grows && !(isLast && a.sequence === b.sequence && a.index === b.index)) {
            violate({
              rule: 'cursors only grow',
              text: `a page goes from ${a.sequence}.${a.index} to ${b.sequence}.${b.index}`,
            });
          }
          return after;
        });
    },
    authenticated(group, epoch, value, who) {
      const key = `${group}/${epoch}`;
      const values = authenticators.get(key) ?? new Map<string, string>();
      authenticators.set(key, values);
      if (values.has(value)) return;
      const [other] = values.values();
      values.set(value, who);
      // each commit that ended the epoch before begins an epoch of its own
      const begun = new Set(branches.flatMap(({ groups }) => groups.get(group)?.commitInto(epoch) ?? []));
      if (values.size <= Math.max(1, begun.size)) return;
      const text = `${who} and ${other} have different secrets in epoch ${epoch} of ${group}`;
      violate({ rule: 'epoch authenticators are equal', text });
    },
    composed(group, epoch, devices, who, own) {
      const isBegun = branches.some(({ groups }) => groups.has(group));
      const truths =
        isBegun || epoch > 0
          ? branches.flatMap(({ groups }) => groups.get(group)?.rosters[epoch] ?? [])
          : [new Set([own])];
      const isTrue = truths.some(
        (truth) => truth.size === devices.length && devices.every((device) => truth.has(device)),
      );
      if (isTrue) return;
      const [truth] = truths.slice(-1);
      const wanted = truth === undefined ? 'which never was' : `of ${truth.size} in the log`;
      const text = `${who} has ${devices.length} members in epoch ${epoch} of ${group}, ${wanted}`;
      violate({ rule: 'rosters are equal', text });
    },
    miscounted: () =>
      now().taken.flatMap(({ event, sequence, isVoid }): Violation[] => {
        const id = toBase64Url(event.group);
        const isPlaced = now()
          .groups.get(id as GroupId)
          ?.entries.some(({ entry }) => entry.kind === 'commit' && entry.id === event.requestId);
        if (isPlaced !== isVoid) return [];
        const text = `the commit at ${sequence} for ${id}/${event.epoch} is ${isVoid ? 'void, and counted' : 'not counted'}`;
        return [{ rule: 'one commit an epoch', text }];
      }),
    typed(device, group, text, { position, head } = { position: 0 }) {
      const said = { text, group, position, ...(head === undefined ? {} : { head }) };
      typed.set(device, [...(typed.get(device) ?? []), said]);
    },
    leaves(device, ids, wentBack) {
      for (const id of ids) if (!left.has(`${device} ${id}`)) left.set(`${device} ${id}`, wentBack);
    },
    leftIn,
    shown(who, device, line) {
      let first: readonly Violation[] | undefined;
      for (const branch of [...branches].reverse()) {
        const found = judgeLine(branch, known, who, device, line);
        if (found.length > 0) {
          first ??= found;
          continue;
        }
        const group = branch.groups.get(line.group);
        if (group !== undefined && isLeftUnseen(line, group, device)) leftAlone.add(`${device} ${line.group}`);
        if (line.kind === 'message' && line.position !== undefined && isAsSent(line)) {
          branch.texts.set(`${line.group}/${line.position}`, line.text);
          branch.places.set(line.text, { group: line.group, position: line.position });
        }
        return;
      }
      if (asksToRejoin(line)) wereShutOut.add(`${device} ${line.group}`);
      if (isToldOfGoingBack(branches, line)) return;
      const wasOut = wereShutOut.has(`${device} ${line.group}`);
      if (line.kind === 'warning' && wasOut && tellsOfAbsence(branches, line)) return;
      if (line.kind === 'warning' && isOfBlind(branches, line, leftIn)) return;
      if (line.kind === 'warning' && isDoubtOfBlind(branches, line, device, leftIn)) return;
      if (line.kind === 'warning' && isRefusedMeanwhile(branches, line, device)) return;
      for (const violation of first ?? []) violate(violation);
    },
    textAt: (group, position) => now().texts.get(`${group}/${position}`),
    positionOf: (text) => now().places.get(text),
  };
}

/** Who commits, and whom the commit lets in. */
function broughtBy(event: CommitEvent): DeviceId[] {
  if (event.type === 'opaque-commit-accepted') return [event.device, ...event.added.map(({ device }) => device)];
  const commit = summarizeCommit(event.commit, [], nodeSha256);
  const adds = commit.kind === 'commit' ? commit.adds : [];
  return [event.device, ...adds.flatMap(({ identity }) => parseIdentity(identity)?.device ?? [])];
}
