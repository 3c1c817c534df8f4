import { hash } from 'node:crypto';
import type { RootDatabase, Transaction } from 'lmdb';
import { ProjectionError } from '../errors.ts';
import { compareClientIds } from '../fold/client-id-order.ts';
import { type Counters, type Draft, type RowSource, rowId } from '../fold/draft.ts';
import { entryKey, numberKey, numberOfKey, pairKey, secondOfKey, TABLE } from '../fold/keys.ts';
import {
  decodeRun,
  idOfMessageKey,
  messageIdKey,
  messageIdKeyEnd,
  type Run,
  type Sender,
  senderId,
} from '../fold/message-ids.ts';
import { type GroupHead, groupHeads, groups, type Window, windows } from '../fold/rows.ts';
import type { Table } from '../fold/table.ts';
import { type CheckpointRow, type Environment, isBookkeeping, writeBatch } from './environment.ts';
import { createCache } from './row-cache.ts';
import { openRow, unsealRow } from './sealed-row.ts';

/** What the tables stand on; before the first event all of it is empty. */
export interface Standing {
  readonly incarnation: string;
  readonly sequence: number;
  readonly eventId: string;
}

/** One device's windows, by group number. */
export type DeviceWindows = ReadonlyMap<number, readonly Window[]>;

interface Rows {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The library takes options here; its types leave them out. */
interface FastReads {
  getBinaryFast(key: Uint8Array, options: { readonly transaction: Transaction }): Buffer | undefined;
}

const ROW_CACHE_BYTES = 64 * 1024 * 1024;
const WINDOW_CACHE_BYTES = 32 * 1024 * 1024;
const LAST_ID_CACHE_BYTES = 16 * 1024 * 1024;
/** What a decoded row takes beside its encoding, roughly. */
const DECODED_FACTOR = 4;
const MEMBER_BYTES = 800;
const WINDOW_BYTES = 150;
/** In the row cache: there is no such row. */
const ABSENT = Symbol('absent');

/**
 * The tables at one checkpoint. Every read between two commits sees the same state, whatever the writer thread has
 * finished meanwhile: reads go through one read transaction that is renewed when a commit is published.
 */
export class Tables implements RowSource {
  readonly #environment: Environment;
  readonly #db: RootDatabase<Uint8Array, Uint8Array>;
  readonly #contract: string;
  #transaction: Transaction;
  #pinned: { readonly transaction: Transaction };
  readonly #heads: GroupHead[] = [];
  readonly #rows = createCache<unknown>(ROW_CACHE_BYTES);
  readonly #windows = createCache<Map<number, readonly Window[]>>(WINDOW_CACHE_BYTES);
  readonly #lastIds = createCache<string>(LAST_ID_CACHE_BYTES);
  /** Counts reads: what a peek gave is good while this stays the same. */
  reads = 0;
  counters: Counters;
  pastEpochs: number | undefined;
  standing: Standing;

  constructor(environment: Environment, contract: string) {
    this.#environment = environment;
    this.#db = environment.db;
    this.#contract = contract;
    const { incarnation = '', sequence = 0, eventId = '', groups = 0, devices = 0 } = environment.checkpoint ?? {};
    this.standing = { incarnation, sequence, eventId };
    this.counters = { groups, devices };
    this.pastEpochs = environment.checkpoint?.pastEpochs;
    this.#transaction = this.#db.useReadTransaction();
    this.#pinned = { transaction: this.#transaction };
    for (const { key, value } of this.scan(numberKey(TABLE.head, 0), Uint8Array.of(TABLE.head + 1))) {
      this.#heads[numberOfKey(key)] = groupHeads.decode(value);
    }
  }

  get incarnation(): string {
    return this.standing.incarnation;
  }

  get<Key, Row>(table: Table<Key, Row>, key: Key): Row | undefined {
    const bytes = table.key(key);
    const id = table.cached ? rowId(bytes) : '';
    const known = table.cached ? this.#rows.get(id) : undefined;
    if (known !== undefined) return known === ABSENT ? undefined : (known as Row);
    const value = this.read(bytes);
    if (value === undefined) {
      if (table.absenceCached === true) this.#rows.set(id, ABSENT, 0);
      return undefined;
    }
    const row = table.decode(value);
    if (table.cached) this.#rows.set(id, row, value.length * DECODED_FACTOR);
    return row;
  }

  /** The bytes under a key, copied. */
  read(key: Uint8Array): Uint8Array | undefined {
    this.reads += 1;
    const value = this.#db.get(key, this.#pinned);
    return value === undefined ? undefined : openRow(key, bytesOf(value));
  }

  /** The bytes under a key, good until the next read. */
  peek(key: Uint8Array): Uint8Array | undefined {
    this.reads += 1;
    const value = (this.#db as unknown as FastReads).getBinaryFast(key, this.#pinned);
    // Its sum was looked at when the tables were opened; doing it again for every entry of a page would double its cost.
    return value === undefined ? undefined : unsealRow(key, bytesOf(value));
  }

  /** The rows from `start` up to and without `end`; in reverse from `end` down to `start`. Copied. */
  scan(start: Uint8Array, end: Uint8Array, options: { limit?: number; reverse?: boolean } = {}): Rows[] {
    const { limit, reverse = false } = options;
    const range = reverse ? { start: end, end: start, reverse } : { start, end };
    this.reads += 1;
    const found: Rows[] = [];
    for (const { key, value } of this.#db.getRange({
      ...range,
      ...(limit === undefined ? {} : { limit }),
      ...this.#pinned,
    })) {
      found.push({ key: key.slice(), value: openRow(key, value).slice() });
    }
    return found;
  }

  head(group: number): GroupHead | undefined {
    return this.#heads[group];
  }

  /** Every group's head, by number. */
  get heads(): readonly GroupHead[] {
    return this.#heads;
  }

  /** A stored entry, good until the next read. */
  peekEntry(group: number, position: number): Uint8Array {
    return this.peekEntryAt(entryKey(group, position));
  }

  /** A stored entry by its key, good until the next read. @throws ProjectionError `store-failed` when it is not there */
  peekEntryAt(key: Uint8Array): Uint8Array {
    const row = this.peek(key);
    if (row === undefined) throw new ProjectionError('store-failed', 'an entry that has to be there is missing');
    return row;
  }

  entryRow(key: Uint8Array): Uint8Array | undefined {
    return this.read(key);
  }

  deviceWindows(device: number): DeviceWindows {
    const id = String(device);
    const known = this.#windows.get(id);
    if (known !== undefined) return known;
    const read = new Map<number, readonly Window[]>();
    for (const { key, value } of this.scan(pairKey(TABLE.window, device, 0), pairKey(TABLE.window, device + 1, 0))) {
      read.set(secondOfKey(key), windows.decode(value));
    }
    this.#windows.set(id, read, read.size * WINDOW_BYTES);
    return read;
  }

  openGroups(device: number): ReadonlySet<number> {
    const open = [...this.deviceWindows(device)].filter(([, list]) => list.at(-1)?.to === undefined);
    return new Set(open.map(([group]) => group));
  }

  lastMessageId(sender: Sender): string | undefined {
    const id = senderId(sender);
    const known = this.#lastIds.get(id);
    if (known !== undefined) return known;
    let last: string | undefined;
    for (const table of [TABLE.messageRun, TABLE.messageSingle]) {
      const bounds = [messageIdKey(table, sender, ''), messageIdKeyEnd(table, sender)] as const;
      const [row] = this.scan(...bounds, { limit: 1, reverse: true });
      const found = row === undefined ? undefined : idOfMessageKey(row.key);
      if (found !== undefined && (last === undefined || compareClientIds(last, found) < 0)) last = found;
    }
    if (last !== undefined) this.#lastIds.set(id, last, 0);
    return last;
  }

  messageRun(sender: Sender, id: string): Run | undefined {
    const start = messageIdKey(TABLE.messageRun, sender, id);
    const [row] = this.scan(start, messageIdKeyEnd(TABLE.messageRun, sender), { limit: 1 });
    return row === undefined ? undefined : decodeRun(row.value);
  }

  /** Writes a draft; what it changed is not read before {@link publish}. @throws ProjectionError `store-failed` */
  async write(draft: Draft, standing: Standing): Promise<void> {
    const { counters, pastEpochs } = draft;
    const rule = pastEpochs === undefined ? {} : { pastEpochs };
    const checkpoint: CheckpointRow = { contract: this.#contract, ...standing, ...counters, ...rule };
    await writeBatch(this.#db, draft.seal(), checkpoint);
  }

  /** From here on reads see the draft that was written. */
  publish(draft: Draft, standing: Standing): void {
    this.#repin();
    this.standing = standing;
    this.counters = draft.counters;
    this.pastEpochs = draft.pastEpochs;
    for (const [group, head] of draft.heads) this.#heads[group] = head;
    for (const [sender, { last }] of draft.senders) this.#lastIds.set(sender, last, 0);
    for (const [id, { table, key, row }] of draft.rows) {
      if ((table as unknown) === windows) this.#updateWindows(key, row as readonly Window[]);
      // Of what came from the log only group states own their bytes: the rest shares memory with its batch.
      if ((table as unknown) === groups && row !== undefined) {
        this.#rows.set(id, row, (row as { roster: readonly unknown[] }).roster.length * MEMBER_BYTES);
      } else this.#rows.delete(id);
    }
  }

  /** Hex SHA-256 over all rows: equal for equal tables, however they came to be. */
  dump(): string {
    const digests: string[] = [];
    for (const { key, value } of this.#db.getRange({ ...this.#pinned })) {
      if (isBookkeeping(key)) continue;
      digests.push(`${Buffer.from(key).toString('hex')} ${hash('sha256', openRow(key, value), 'hex')}\n`);
    }
    return hash('sha256', digests.join(''), 'hex');
  }

  async close(): Promise<void> {
    this.#transaction.done();
    await this.#environment.close();
  }

  #updateWindows(key: Uint8Array, row: readonly Window[]): void {
    const device = String(numberOfKey(key));
    const known = this.#windows.get(device);
    if (known === undefined) return;
    known.set(secondOfKey(key), row);
    this.#windows.set(device, known, known.size * WINDOW_BYTES);
  }

  #repin(): void {
    this.#transaction.done();
    this.#db.resetReadTxn();
    this.#transaction = this.#db.useReadTransaction();
    this.#pinned = { transaction: this.#transaction };
  }
}

/** The library shows the length of a value on a buffer that is longer. */
function bytesOf(value: Buffer | Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.length);
}
