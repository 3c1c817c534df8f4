import { decodeGroupContext } from 'ts-mls/groupContext.js';
import { decodeKeySchedule } from 'ts-mls/keySchedule.js';
import { decodeRatchetTree } from 'ts-mls/ratchetTree.js';
import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { Write } from '../../src/client/store/client-store.ts';
import { parseIdentity } from '../../src/mls/identity.ts';
import { membersIn } from '../../src/mls/session/state.ts';
import type { SignedStatement } from '../../src/wire/account-chain.ts';
import { fromUtf8, toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { AccountId, Cursor, GroupId } from '../../src/wire/ids.ts';
import { tellsGoingBack } from './gone-back.ts';
import type { Ledger } from './ledger.ts';
import type { Persona } from './persona.ts';
import type { Mark } from './receipt-truth.ts';

interface StoredRecord {
  readonly bytes: Uint8Array;
  readonly phase: string;
  readonly parkedReason?: string;
  readonly position: number;
  readonly head?: Uint8Array;
  readonly intentions: readonly { readonly kind: string }[];
  readonly leaving?: unknown;
  readonly marks?: { readonly by: readonly Mark[] };
  readonly recovery?: { readonly missed?: unknown };
}

interface StoredAccount {
  readonly id: AccountId;
  readonly statements: readonly SignedStatement[];
}

/** What one client has on its disk, followed transaction by transaction. */
export interface ClientView {
  readonly groups: ReadonlyMap<GroupId, StoredRecord>;
  readonly lines: readonly HistoryLine[];
  /** Rows of commits that are on their way, and of texts and files that are. */
  readonly waiting: ReadonlySet<string>;
  /** Where it stands in the log, and in which life of it. */
  readonly sequence: number;
  readonly incarnation: number;
  take(writes: readonly Write[]): void;
  /** The disk lost what was newest: reads it anew. */
  reload(rows: ReadonlyMap<string, Uint8Array>): void;
}

const TABLE = {
  device: 'd',
  group: 'g',
  epochRecord: 'e',
  line: 'l',
  account: 'a',
  pending: 'p',
  outbox: 'o',
  upload: 'u',
} as const;

export function createClientView(
  { name, account, device }: Pick<Persona, 'name' | 'account' | 'device'>,
  ledger: Ledger,
): ClientView {
  const me = { account, device };
  let groups = new Map<GroupId, StoredRecord>();
  let lines: HistoryLine[] = [];
  /** Where in {@link lines} the line of a row is. */
  let rows = new Map<string, number>();
  /** Places, and messages, of which a line tells, and where it says that they stand. */
  let shown = new Map<string, readonly number[]>();
  let waiting = new Set<string>();
  let at = { sequence: 0, index: 0 };
  /** The life of the log that the cursor is of. */
  let incarnation = 0;
  /** What is read anew was held against the log when it was written. */
  let isReading = false;

  const takeCursor = (cursor: Cursor): void => {
    const opened = ledger.opened(cursor);
    if (opened === undefined) {
      ledger.violate({ rule: 'cursors only grow', text: `${name} stored a cursor that is none` });
      return;
    }
    const { order, incarnation: of = 0 } = opened;
    const isBack = order.sequence < at.sequence || (order.sequence === at.sequence && order.index < at.index);
    if ((of < incarnation && !ledger.isNow(of)) || (of === incarnation && isBack && !ledger.isInTwo(of))) {
      const text = `${name} went back from ${at.sequence}.${at.index} to ${order.sequence}.${order.index}`;
      ledger.violate({ rule: 'cursors only grow', text });
    }
    incarnation = of;
    at = order;
  };

  const takeGroup = (record: StoredRecord): void => {
    const id = toBase64Url(record.bytes) as GroupId;
    const before = groups.get(id);
    groups.set(id, record);
    ledger.receipts.kept(name, id, record.marks?.by ?? []);
    const { phase, position, head, parkedReason } = record;
    // over a gap it is joined again by itself
    const isOverGap = record.recovery?.missed !== undefined && ledger.firstKept(id) > 1;
    const wasLost = before === undefined ? isReading : ledger.isLost(id, before);
    const mayBeBack = wasLost && ledger.branches.length > 1;
    if (
      phase === 'parked' &&
      !isOverGap &&
      before?.phase !== 'parked' &&
      !(mayBeBack && tellsGoingBack(parkedReason))
    ) {
      ledger.violate({ rule: 'nothing is parked', text: `${name} parked ${id}: ${parkedReason}` });
    }
    if (before !== undefined && position < before.position && !(mayBeBack && phase !== 'member')) {
      ledger.violate({ rule: 'cursors only grow', text: `${name} went back to ${position} in ${id}` });
    }
    if (phase !== 'member' || head === undefined || position === 0) return;
    if (!ledger.hasHead(id, position, head, incarnation)) {
      ledger.violate({ rule: 'heads are equal', text: `${name} has another head at ${position} in ${id}` });
    }
  };

  const takeEpoch = (key: Uint8Array, value: Uint8Array): void => {
    const id = toBase64Url(key.subarray(2)) as GroupId;
    const record = decodeCbor(value) as { context: Uint8Array; keys: Uint8Array; tree: Uint8Array };
    const context = decodeGroupContext(record.context, 0)![0];
    const { epochAuthenticator } = decodeKeySchedule(record.keys, 0)![0];
    ledger.authenticated(id, Number(context.epoch), toHex(epochAuthenticator), name);
    const members = membersIn(decodeRatchetTree(record.tree, 0)![0]);
    const devices = members.flatMap(({ identity }) => parseIdentity(identity)?.device ?? []);
    ledger.composed(id, Number(context.epoch), devices, name, device);
  };

  const takeLine = (row: string, line: HistoryLine): void => {
    const at = rows.get(row);
    if (at !== undefined) {
      const before = lines[at]!;
      lines[at] = line;
      if (isSame(before, line)) return;
      ledger.violate({
        rule: 'changes read alike',
        text: `${name} wrote another line in the place of ${before.position}`,
      });
      return;
    }
    rows.set(row, lines.push(line) - 1);
    if (line.kind === 'message') {
      const { group, id, position, sender } = line;
      // where a log goes back, a place comes to be another message's, and a message may come again whose place is lost
      const isGone = shown
        .get(`${group}/${sender.device}/${id}`)
        ?.every((at) => ledger.group(group)?.entries[at - 1]?.entry.id !== id);
      const places = [`${group}/${position ?? id}`, `${group}/${sender.device}/${id}`];
      const isAgain = ledger.branches.length > 1 ? isGone === false : places.some((place) => shown.has(place));
      if (isAgain) ledger.violate({ rule: 'delivered exactly once', text: `${name} shows ${places[0]} twice` });
      for (const place of places) shown.set(place, [...(shown.get(place) ?? []), position ?? 0]);
    }
    ledger.shown(name, device, line);
    if (line.kind === 'message') ledger.receipts.heard(me, line);
  };

  const takeUnsent = (key: Uint8Array, row: Uint8Array): void => {
    const said = ledger.sayings.wrote(me, key, row);
    if (said === undefined) return;
    const { group, shown } = said;
    if (shown.statuses !== undefined) ledger.receipts.told(name, me, group, shown.statuses);
    else ledger.typed(device, group, shown.text, groups.get(group));
  };

  const takeAccount = ({ id, statements }: StoredAccount): void => ledger.accounts.pinned(name, id, statements);

  const take = ({ key, value }: Write): void => {
    const table = String.fromCharCode(key[0]!);
    if (table === TABLE.pending || table === TABLE.outbox || table === TABLE.upload) {
      if (value === undefined) waiting.delete(toHex(key));
      else waiting.add(toHex(key));
      if (table === TABLE.outbox && value !== undefined) takeUnsent(key, value);
      return;
    }
    if (value === undefined) {
      if (table === TABLE.group) groups.delete(toBase64Url(key.subarray(2)) as GroupId);
      return;
    }
    if (table === TABLE.device) takeCursor((decodeCbor(value) as { cursor: Cursor }).cursor);
    else if (table === TABLE.group) takeGroup(decodeCbor(value) as StoredRecord);
    else if (table === TABLE.epochRecord) takeEpoch(key, value);
    else if (table === TABLE.account) takeAccount(decodeCbor(value) as StoredAccount);
    else if (table === TABLE.line) takeLine(toHex(key), JSON.parse(fromUtf8(value) ?? '') as HistoryLine);
  };

  return {
    get groups() {
      return groups;
    },
    get lines() {
      return lines;
    },
    get waiting() {
      return waiting;
    },
    get sequence() {
      return at.sequence;
    },
    get incarnation() {
      return incarnation;
    },
    take: (writes) => {
      // what a group is held against depends on where its device stands
      const isCursor = ({ key }: Write): boolean => key[0] === TABLE.device.charCodeAt(0);
      for (const write of [...writes.filter(isCursor), ...writes.filter((write) => !isCursor(write))]) take(write);
    },
    reload: (stored) => {
      groups = new Map();
      lines = [];
      rows = new Map();
      shown = new Map();
      waiting = new Set();
      at = { sequence: 0, index: 0 };
      incarnation = 0;
      const keys = [...stored.keys()].sort();
      isReading = true;
      for (const key of keys) take({ key: new Uint8Array(Buffer.from(key, 'hex')), value: stored.get(key) });
      isReading = false;
    },
  };
}

/** Whether two lines tell of one entry: what was changed since says something else. */
function isSame(a: HistoryLine, b: HistoryLine): boolean {
  if (a.kind !== 'message' || b.kind !== 'message') return false;
  const isOfOne = a.sender.account === b.sender.account && a.sender.device === b.sender.device && a.own === b.own;
  const isOne = a.group === b.group && a.position === b.position && a.id === b.id && a.messageId === b.messageId;
  return isOne && isOfOne && a.replaces === b.replaces && a.inReplyTo === b.inReplyTo;
}
