import { equalBytes } from '../../wire/bytes.ts';
import type { DeviceId } from '../../wire/ids.ts';
import type { BatchPlace } from '../recent-batches.ts';
import type { GroupState } from './group-state.ts';
import { numberOfKey, secondOfKey, TABLE } from './keys.ts';
import {
  encodeRun,
  findInRun,
  messageIdKey,
  messageSingles,
  type Run,
  type RunItem,
  runFor,
  type Sender,
  senderId,
} from './message-ids.ts';
import { deviceNumbers, type GroupHead, groupHeads, type Window, windows } from './rows.ts';
import type { Table } from './table.ts';

/** How many numbers the fold has given out. */
export interface Counters {
  readonly groups: number;
  readonly devices: number;
}

/** Tables as a reducer sees them. Rows are immutable. */
export interface RowSource {
  get<Key, Row>(table: Table<Key, Row>, key: Key): Row | undefined;
  head(group: number): GroupHead | undefined;
  /** The greatest id this sender has placed. */
  lastMessageId(sender: Sender): string | undefined;
  /** Where a message with this id stands; for ids that are not greater than the sender's last one. */
  messagePosition(sender: Sender, id: string): number | undefined;
  /** The row of an entry, by its `entryKey`; for what is rare. */
  entryRow(key: Uint8Array): Uint8Array | undefined;
  /** The groups that a device has an open window into, by number. */
  openGroups(device: number): ReadonlySet<number>;
  readonly counters: Counters;
  /** Of the first `log-started`: how old the epoch of a message may be; absent before it. */
  readonly pastEpochs: number | undefined;
  /** Of the newest `log-started`; empty before the first. */
  readonly incarnation: string;
}

/** One put, or one removal when there is no value; `hasRoom`: for its sum, behind the value in the same memory. */
export type Write = readonly [key: Uint8Array, value: Uint8Array | undefined, hasRoom?: boolean];

/** A row that a draft changed: `row` is absent when it removed it. */
export interface ChangedRow {
  readonly table: Table<never, unknown>;
  readonly key: Uint8Array;
  readonly row: unknown;
}

/** What a batch has placed of one sender. */
export interface SenderIds {
  /** In ascending order. */
  readonly runs: Run[];
  /** Positions, by id. */
  readonly singles: Map<string, number>;
}

const NO_IDS: SenderIds = { runs: [], singles: new Map() };

/**
 * What a batch of events changes, before any of it is written: a layer over the tables, or over a draft that is being
 * written. Reducers read and write here and nowhere else, so a batch that fails half way leaves nothing behind.
 */
export class Draft implements RowSource {
  readonly rows = new Map<string, ChangedRow>();
  readonly heads = new Map<number, GroupHead>();
  readonly senders = new Map<string, SenderIds>();
  readonly touchedGroups = new Map<number, GroupState>();
  readonly touchedDevices = new Set<DeviceId>();
  /** No row: who sent these batches is told where they stand. */
  readonly batches: BatchPlace[] = [];
  counters: Counters;
  incarnation: string;
  pastEpochs: number | undefined;
  bytes = 0;
  #appended: Write[] = [];
  #parent: RowSource;

  constructor(parent: RowSource) {
    this.#parent = parent;
    this.counters = parent.counters;
    this.incarnation = parent.incarnation;
    this.pastEpochs = parent.pastEpochs;
  }

  /** Goes on over the tables themselves, once the draft below is in them. */
  rebase(parent: RowSource): void {
    this.#parent = parent;
  }

  get<Key, Row>(table: Table<Key, Row>, key: Key): Row | undefined {
    const changed = this.rows.get(rowId(table.key(key)));
    return changed === undefined ? this.#parent.get(table, key) : (changed.row as Row | undefined);
  }

  put<Key, Row>(table: Table<Key, Row>, key: Key, row: Row): void {
    this.#change(table, key, row);
  }

  remove<Key, Row>(table: Table<Key, Row>, key: Key): void {
    this.#change(table, key, undefined);
  }

  /** A row that no reducer reads back. With `hasRoom` the four bytes behind it are free to be written. */
  append(key: Uint8Array, value: Uint8Array, hasRoom = false): void {
    this.#appended.push([key, value, hasRoom]);
    this.bytes += value.length;
  }

  /** Takes away a row that {@link append} made, in this batch or before. */
  discard(key: Uint8Array): void {
    this.#appended.push([key, undefined]);
    this.bytes += key.length;
  }

  /** Looks through all that the batch appended. */
  entryRow(key: Uint8Array): Uint8Array | undefined {
    for (let i = this.#appended.length - 1; i >= 0; i -= 1) {
      const [appended, value] = this.#appended[i]!;
      if (equalBytes(appended, key)) return value;
    }
    return this.#parent.entryRow(key);
  }

  head(group: number): GroupHead | undefined {
    return this.heads.get(group) ?? this.#parent.head(group);
  }

  setHead(state: GroupState, head: GroupHead): void {
    this.heads.set(state.no, head);
    this.touchedGroups.set(state.no, state);
  }

  /** Looks through all that the batch changed: for what is rare. */
  openGroups(device: number): ReadonlySet<number> {
    const open = new Set(this.#parent.openGroups(device));
    for (const { table, key, row } of this.rows.values()) {
      if ((table as unknown) !== windows || numberOfKey(key) !== device) continue;
      if ((row as readonly Window[]).at(-1)?.to === undefined) open.add(secondOfKey(key));
      else open.delete(secondOfKey(key));
    }
    return open;
  }

  newGroupNo(): number {
    const groups = this.counters.groups + 1;
    this.counters = { ...this.counters, groups };
    return groups;
  }

  /** The device's number; it gets one when it is seen for the first time. */
  deviceNo(id: DeviceId): number {
    const known = this.get(deviceNumbers, id);
    if (known !== undefined) return known;
    const devices = this.counters.devices + 1;
    this.counters = { ...this.counters, devices };
    this.put(deviceNumbers, id, devices);
    return devices;
  }

  lastMessageId(sender: Sender): string | undefined {
    return this.senders.get(senderId(sender))?.runs.at(-1)?.at(-1)?.id ?? this.#parent.lastMessageId(sender);
  }

  messagePosition(sender: Sender, id: string): number | undefined {
    const { runs, singles } = this.senders.get(senderId(sender)) ?? NO_IDS;
    const run = runFor(runs, id);
    return (
      (run === undefined ? undefined : findInRun(run, id)) ??
      singles.get(id) ??
      this.#parent.messagePosition(sender, id)
    );
  }

  /** Ids that are all later than what the sender has placed. */
  addRun(sender: Sender, run: Run): void {
    this.#idsOf(sender).runs.push(run);
    this.append(messageIdKey(TABLE.messageRun, sender, run.at(-1)!.id), encodeRun(run));
  }

  /** An id that is not later than the sender's last one, and is not there yet. */
  addSingle(sender: Sender, { id, position }: RunItem): void {
    this.#idsOf(sender).singles.set(id, position);
    this.put(messageSingles, { ...sender, id }, position);
  }

  #idsOf(sender: Sender): SenderIds {
    const key = senderId(sender);
    const known = this.senders.get(key);
    if (known !== undefined) return known;
    const ids = { runs: [], singles: new Map<string, number>() };
    this.senders.set(key, ids);
    return ids;
  }

  /** Everything to write, encoded: from here on nothing is computed. */
  seal(): Write[] {
    const writes = this.#appended.slice();
    for (const { table, key, row } of this.rows.values()) {
      writes.push([key, row === undefined ? undefined : table.encode(row)]);
    }
    for (const [group, head] of this.heads) writes.push([groupHeads.key(group), groupHeads.encode(head)]);
    return writes;
  }

  #change<Key, Row>(table: Table<Key, Row>, key: Key, row: Row | undefined): void {
    const bytes = table.key(key);
    this.rows.set(rowId(bytes), { table: table as unknown as Table<never, unknown>, key: bytes, row });
  }
}

/** Characters of the key that is being made, an array for each length. */
const codes: number[][] = [];

/** A row's key as a key of a map. Keys are short, so a buffer's own way to text costs three times as much. */
export function rowId(key: Uint8Array): string {
  const { length } = key;
  let own = codes[length];
  if (own === undefined) {
    own = new Array<number>(length).fill(0);
    codes[length] = own;
  }
  for (let i = 0; i < length; i += 1) own[i] = key[i]!;
  return String.fromCharCode.apply(null, own);
}
