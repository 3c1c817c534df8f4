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
import { isAsSent } from './changed-messages.ts';
import type { Exchange } from './client-network.ts';
import { isDenialOf } from './denials.ts';
import { createGroupTruth, type GroupTruth } from './group-truth.ts';
import { isLeftUnseen, wasAlone } from './left-alone.ts';
import { followsGap, isLostOwn, tellsGap } from './missed.ts';
import { createReceiptTruth, type ReceiptTruth } from './receipt-truth.ts';
import { createSayings, type Sayings } from './sayings.ts';
import { CURSOR_SEAL, INCARNATION, type ServerNode } from './server-node.ts';
import type { Violation } from './violation.ts';

/** Sees everything that happens and knows what must not. */
export interface Ledger {
  readonly groups: ReadonlyMap<GroupId, GroupTruth>;
  readonly accounts: AccountLedger;
  readonly sayings: Sayings;
  readonly receipts: ReceiptTruth;
  /** First position of a group that nobody may have said to be gone. */
  firstKept(group: GroupId): number;
  group(id: GroupId): GroupTruth | undefined;
  violate(violation: Violation): void;
  /** The log took an event. */
  stored(event: LogEvent, sequence: number): void;
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
  typed(device: DeviceId, group: GroupId, text: string, position: number): void;
  shown(who: string, device: DeviceId, line: HistoryLine): void;
  /** The text at a position, as everybody who could read it agrees. */
  textAt(group: GroupId, position: number): string | undefined;
  positionOf(text: string): { readonly group: GroupId; readonly position: number } | undefined;
}

/** What a receipt is called where texts wait: nobody typed it, and nobody wants to hear of it. */
const RECEIPT = ': that messages came';
type CommitEvent = LogEvent & { readonly type: 'commit-accepted' | 'opaque-commit-accepted' };

export function createLedger(violate: (violation: Violation) => void): Ledger {
  const accounts = createAccountLedger(violate);
  const sayings = createSayings();
  const groups = new Map<GroupId, GroupTruth>();
  const commits = new Map<string, number>();
  const taken: { readonly event: CommitEvent; readonly sequence: number; readonly isVoid: boolean }[] = [];
  const firstKept = new Map<GroupId, number>();
  const checked = new Map<string, number>();
  const authenticators = new Map<string, { readonly value: string; readonly who: string }>();
  const texts = new Map<string, string>();
  /** Devices that left a group by themselves, with its id. */
  const leftAlone = new Set<string>();
  /** What each device typed, and how far it had read by then. */
  const typed = new Map<DeviceId, { readonly text: string; readonly group: GroupId; readonly position: number }[]>();
  const places = new Map<string, { readonly group: GroupId; readonly position: number }>();

  const promised = (device: DeviceId, id: GroupId, position: number, key: string, head?: Uint8Array): void => {
    const placed = groups.get(id)?.entries[position - 1];
    if (placed === undefined || placed.entry.id !== key || placed.entry.sender !== device) {
      violate({ rule: 'acknowledged is kept', text: `${key} was said to stand at ${position} in ${id}, and does not` });
    } else if (head !== undefined && !equalBytes(placed.head, head)) {
      violate({ rule: 'heads are equal', text: `the answer to ${key} names another head at ${position} in ${id}` });
    }
  };
  const checkVisible = (device: DeviceId, bytes: Uint8Array): void => {
    const entry = decodeEntry(bytes);
    if (!isGroupEntry(entry)) return;
    const id = toBase64Url(entry.group) as GroupId;
    if (groups.get(id)?.mayRead(device, entry.position) === true) return;
    violate({ rule: 'nothing outside the window', text: `${device} was shown entry ${entry.position} of ${id}` });
  };

  return {
    groups,
    accounts,
    sayings,
    receipts: createReceiptTruth(violate),
    firstKept: (id) => firstKept.get(id) ?? 1,
    group: (id) => groups.get(id),
    violate,
    stored(event, sequence) {
      accounts.stored(event);
      if (event.type === 'group-compacted') {
        const id = toBase64Url(event.group) as GroupId;
        firstKept.set(id, Math.max(firstKept.get(id) ?? 1, event.logStart));
      }
      if (event.type === 'group-created') {
        const id = toBase64Url(event.group) as GroupId;
        if (!groups.has(id))
          groups.set(id, createGroupTruth(id, event.device, rosterOfGroupInfo(event.groupInfo) ?? []));
      }
      if (event.type === 'opaque-group-created') {
        const id = toBase64Url(event.group) as GroupId;
        if (!groups.has(id)) groups.set(id, createGroupTruth(id, event.device, 'declared'));
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
        if (to < (firstKept.get(id) ?? 1)) continue;
        violate({
          rule: 'a gap is what was compacted',
          text: `${device} was told that ${from} to ${to} of ${id} are gone`,
        });
      }
      for (const bytes of page.entries) checkVisible(device, bytes);
      const orders = [
        CURSOR_SEAL.open(INCARNATION, asked),
        ...page.entries.map((_, i) => CURSOR_SEAL.open(INCARNATION, cursorFromBlock(page.cursors, i))),
        CURSOR_SEAL.open(INCARNATION, page.cursor),
      ];
      orders.reduce((before, after, i) => {
        if (before.kind !== 'order' || after.kind !== 'order') {
          violate({ rule: 'cursors only grow', text: 'a page has a cursor that is none' });
          return after;
        }
        const [a, b] = [before.order, after.order];
        const isLast = i === orders.length - 1;
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
      const known = authenticators.get(key);
      if (known === undefined) authenticators.set(key, { value, who });
      else if (known.value !== value) {
        const text = `${who} and ${known.who} have different secrets in epoch ${epoch} of ${group}`;
        violate({ rule: 'epoch authenticators are equal', text });
      }
    },
    composed(group, epoch, devices, who, own) {
      const isBegun = groups.has(group);
      const truth = isBegun || epoch > 0 ? groups.get(group)?.rosters[epoch] : new Set([own]);
      if (truth?.size === devices.length && devices.every((device) => truth.has(device))) return;
      const wanted = truth === undefined ? 'which never was' : `of ${truth.size} in the log`;
      const text = `${who} has ${devices.length} members in epoch ${epoch} of ${group}, ${wanted}`;
      violate({ rule: 'rosters are equal', text });
    },
    miscounted: () =>
      taken.flatMap(({ event, sequence, isVoid }): Violation[] => {
        const id = toBase64Url(event.group);
        const isPlaced = groups
          .get(id as GroupId)
          ?.entries.some(({ entry }) => entry.kind === 'commit' && entry.id === event.requestId);
        if (isPlaced !== isVoid) return [];
        const text = `the commit at ${sequence} for ${id}/${event.epoch} is ${isVoid ? 'void, and counted' : 'not counted'}`;
        return [{ rule: 'one commit an epoch', text }];
      }),
    typed(device, group, text, position) {
      typed.set(device, [...(typed.get(device) ?? []), { text, group, position }]);
    },
    shown(who, device, line) {
      const position = line.position ?? 0;
      const group = groups.get(line.group);
      const truth = group?.entries[position - 1]?.entry;
      if (group !== undefined && isLeftUnseen(line, group, device)) {
        leftAlone.add(`${device} ${line.group}`);
        if (wasAlone(group, device, position, accounts.isRevoked)) return;
        violate({ rule: 'who left is out', text: `${who} left ${line.group} at ${position}, and others are there` });
        return;
      }
      if (line.kind === 'warning') {
        // whoever was taken out is told what did not get through; nobody else is refused
        const wasTakenOut = group?.memberships.get(device)?.some(({ to }) => to !== undefined);
        const isOut = wasTakenOut === true || leftAlone.has(`${device} ${line.group}`);
        const isOfReceipt = line.text.endsWith(RECEIPT);
        // what was typed after it had read of its last removal does not end with one
        const ends = group?.memberships.get(device)?.flatMap(({ to }) => to ?? []) ?? [];
        const isEnded = (typed.get(device) ?? []).some(
          (said) => isDenialOf(line, said) && ends.some((end) => end > said.position),
        );
        const isUnsent = isEnded || leftAlone.has(`${device} ${line.group}`) || accounts.isRevoked(device);
        if (line.text.startsWith('Not sent (') && !isOfReceipt && isUnsent) return;
        // what was asked for without an answer may be among what is gone, or be what a revoked device will not read
        const isBlind = (isOut && firstKept.has(line.group)) || accounts.isRevoked(device);
        if (line.text.startsWith('Not known whether sent: ') && !isOfReceipt && isBlind) return;
        if (firstKept.has(line.group) && (tellsGap(line) || followsGap(line))) return;
        const isOfBefore = truth?.kind === 'message' && !groups.get(line.group)!.hasKeys(device, position, truth.epoch);
        if (isOfBefore && line.text.startsWith('A message could not be read')) return;
        violate({ rule: 'no unexplained warning', text: `${who} at ${position} of ${line.group}: ${line.text}` });
        return;
      }
      if (line.kind !== 'message') return;
      if (line.position === undefined && isLostOwn(groups.get(line.group), device, line, firstKept.get(line.group)))
        return;
      if (truth?.kind !== 'message' || truth.sender !== line.sender.device) {
        violate({ rule: 'delivered exactly once', text: `${who} shows a message at ${position} that is none` });
        return;
      }
      const said = sayings.of(truth.sender, truth.id);
      const names = [line.messageId === said?.messageId, line.replaces === said?.replaces];
      if (said === undefined || names.includes(false) || line.inReplyTo !== said.inReplyTo) {
        violate({ rule: 'changes read alike', text: `${who} takes ${position} of ${line.group} for another message` });
      }
      // what was changed since is looked at in the end
      if (!isAsSent(line)) return;
      if (said !== undefined && line.text !== said.text) {
        violate({ rule: 'delivered exactly once', text: `${who} reads "${line.text}" where "${said.text}" was sent` });
      }
      const place = `${line.group}/${position}`;
      const known = texts.get(place);
      if (known !== undefined && known !== line.text) {
        violate({ rule: 'delivered exactly once', text: `${who} reads something else at ${place}` });
      }
      texts.set(place, line.text);
      const elsewhere = places.get(line.text);
      if (elsewhere !== undefined && (elsewhere.group !== line.group || elsewhere.position !== position)) {
        const text = `"${line.text}" stands at ${elsewhere.position} and at ${position} of ${line.group}`;
        violate({ rule: 'delivered exactly once', text });
      }
      places.set(line.text, { group: line.group, position });
    },
    textAt: (group, position) => texts.get(`${group}/${position}`),
    positionOf: (text) => places.get(text),
  };
}

/** Who commits, and whom the commit lets in. */
function broughtBy(event: CommitEvent): DeviceId[] {
  if (event.type === 'opaque-commit-accepted') return [event.device, ...event.added.map(({ device }) => device)];
  const commit = summarizeCommit(event.commit, [], nodeSha256);
  const adds = commit.kind === 'commit' ? commit.adds : [];
  return [event.device, ...adds.flatMap(({ identity }) => parseIdentity(identity)?.device ?? [])];
}
