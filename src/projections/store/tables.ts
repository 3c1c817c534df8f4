import { hash } from 'node:crypto';
import type { RootDatabase, Transaction } from 'lmdb';
import { ProjectionError } from '../errors.ts';
import { compareClientIds } from '../fold/client-id-order.ts';
import { type Counters, type Draft, type RowSource, rowId } from '../fold/draft.ts';
import { entryKey, numberKey, numberOfKey, pairKey, secondOfKey, TABLE } from '../fold/keys.ts';
import {
  decodeRun,
  findInRun,
  idOfMessageKey,
  messageIdKey,
  messageIdKeyEnd,
  messageSingles,
  type Sender,
  senderId,
} from '../fold/message-ids.ts';
import { type GroupHead, groupHeads, groups, type Window, windows } from '../fold/rows.ts';
import type { Table } from '../fold/table.ts';
import {
  type CheckpointRow,
  type Environment,
  isBookkeeping,
  isTorn,
  readCheckpoint,
  writeBatch,
} from './environment.ts';
import { createRecentIds } from './recent-ids.ts';
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
/** What a decoded row takes beside its encoding, roughly. */
const DECODED_FACTOR = 4;
const MEMBER_BYTES = 800;
const WINDOW_BYTES = 150;
/** In the row cache: there is no such row. */
const ABSENT = Symbol('absent');

/**
 * The tables at one checkpoint. Every read between two commits sees the same state, whatever the writer thread has
 * finished meanwhile: reads go through one read transaction that is renewed when a commit is published.
 *
 * Each row is held against its checksum as it is read. Every read @throws ProjectionError `damaged` when what it meets is
 * not what was written, after `onDamage` was told.
 */
export class Tables implements RowSource {
  readonly #environment: Environment;
  readonly #db: RootDatabase<Uint8Array, Uint8Array>;
  readonly #contract: string;
  readonly #onDamage: (damage: ProjectionError) => void;
  #transaction: Transaction;
  #isDone = false;
  #pinned: { readonly transaction: Transaction };
  readonly #heads: GroupHead[] = [];
  readonly #rows = createCache<unknown>(ROW_CACHE_BYTES);
  readonly #windows = createCache<Map<number, readonly Window[]>>(WINDOW_CACHE_BYTES);
  readonly #recentIds = createRecentIds();
  /** Counts reads: what a peek gave is good while this stays the same. */
  reads = 0;
  counters: Counters;
  pastEpochs: number | undefined;
  standing: Standing;

  /** @param onDamage called at each read that meets damage; must not throw */
  constructor(environment: Environment, contract: string, onDamage: (damage: ProjectionError) => void = () => {}) {
    this.#environment = environment;
    this.#db = environment.db;
    this.#contract = contract;
    this.#onDamage = onDamage;
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
    try {
      const value = this.#db.get(key, this.#pinned);
      return value === undefined ? undefined : openRow(key, bytesOf(value));
    } catch (error) {
      throw this.#damage(error);
    }
  }

  /** The bytes under a key, good until the next read. */
  peek(key: Uint8Array): Uint8Array | undefined {
    this.reads += 1;
    try {
      const value = (this.#db as unknown as FastReads).getBinaryFast(key, this.#pinned);
      return value === undefined ? undefined : openRow(key, bytesOf(value));
    } catch (error) {
      throw this.#damage(error);
    }
  }

  /** As {@link peek}, of what was peeked at in the same turn of the event loop: it is not held against its sum once more. */
  peekAgain(key: Uint8Array): Uint8Array | undefined {
    this.reads += 1;
    const value = (this.#db as unknown as FastReads).getBinaryFast(key, this.#pinned);
    return value === undefined ? undefined : unsealRow(key, bytesOf(value));
  }

  /** The rows from `start` up to and without `end`; in reverse from `end` down to `start`. Copied. */
  scan(start: Uint8Array, end: Uint8Array, options: { limit?: number; reverse?: boolean } = {}): Rows[] {
    const { limit, reverse = false } = options;
    const range = reverse ? { start: end, end: start, reverse } : { start, end };
    this.reads += 1;
    const found: Rows[] = [];
    try {
      for (const { key, value } of this.#db.getRange({
        ...range,
        ...(limit === undefined ? {} : { limit }),
        ...this.#pinned,
      })) {
        const last = found.at(-1)?.key;
        if (last !== undefined && Buffer.compare(last, key) >= 0 !== reverse) throw outOfOrder();
        found.push({ key: key.slice(), value: openRow(key, value).slice() });
      }
    } catch (error) {
      throw this.#damage(error);
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

  /** A stored entry by its key, good until the next read. That it is not there is damage: positions have no gaps. */
  peekEntryAt(key: Uint8Array): Uint8Array {
    const row = this.peek(key);
    if (row === undefined)
      throw this.#damage(new ProjectionError('damaged', 'an entry that has to be there is missing'));
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
    const name = senderId(sender);
    const known = this.#recentIds.get(name);
    if (known !== undefined) return known.last;
    let last: string | undefined;
    for (const table of [TABLE.messageRun, TABLE.messageSingle]) {
      const bounds = [messageIdKey(table, sender, ''), messageIdKeyEnd(table, sender)] as const;
      const [row] = this.scan(...bounds, { limit: 1, reverse: true });
      const found = row === undefined ? undefined : idOfMessageKey(row.key);
      if (found !== undefined && (last === undefined || compareClientIds(last, found) < 0)) last = found;
    }
    this.#recentIds.begin(name, last);
    return last;
  }

  messagePosition(sender: Sender, id: string): number | undefined {
    const recent = this.#recentIds.get(senderId(sender));
    if (recent?.covers(id) === true) return recent.positionOf(id);
    const single = this.get(messageSingles, { ...sender, id });
    if (single !== undefined) return single;
    // a run stands under its last id
    const start = messageIdKey(TABLE.messageRun, sender, id);
    const [row] = this.scan(start, messageIdKeyEnd(TABLE.messageRun, sender), { limit: 1 });
    return row === undefined ? undefined : findInRun(decodeRun(row.value), id);
  }

  /** Writes a draft; what it changed is not read before {@link publish}. @throws ProjectionError `store-failed` */
  async write(draft: Draft, standing: Standing): Promise<void> {
    await writeBatch(this.#db, draft.seal(), this.#checkpointOf(draft, standing));
  }

  /** From here on reads see the draft that was written. */
  publish(draft: Draft, standing: Standing): void {
    this.#repin();
    this.standing = standing;
    this.counters = draft.counters;
    this.pastEpochs = draft.pastEpochs;
    for (const [group, head] of draft.heads) this.#heads[group] = head;
    for (const [sender, ids] of draft.senders) this.#recentIds.add(sender, ids);
    for (const [id, { table, key, row }] of draft.rows) {
      if ((table as unknown) === windows) this.#updateWindows(key, row as readonly Window[]);
      // Of what came from the log only group states own their bytes: the rest shares memory with its batch.
      if ((table as unknown) === groups && row !== undefined) {
        this.#rows.set(id, row, (row as { roster: readonly unknown[] }).roster.length * MEMBER_BYTES);
      } else this.#rows.delete(id);
    }
  }

  /** Whether the tables are just what was published last: nothing of a batch that failed is in them. */
  isWhole(): boolean {
    try {
      this.#repin();
      const stored = readCheckpoint(this.#db, this.#pinned);
      const { sequence, eventId } = this.standing;
      const isSame = (stored?.sequence ?? 0) === sequence && (stored?.eventId ?? '') === eventId;
      return isSame && !isTorn(this.#db, this.#pinned);
    } catch {
      return false;
    }
  }

  /** What is written with the tables as they stand. */
  get checkpoint(): CheckpointRow {
    return this.#checkpointOf(this, this.standing);
  }

  /** Hex SHA-256 over all rows: equal for equal tables, however they came to be. */
  dump(): string {
    const digests: string[] = [];
    try {
      for (const { key, value } of this.#db.getRange({ ...this.#pinned })) {
        if (isBookkeeping(key)) continue;
        digests.push(`${Buffer.from(key).toString('hex')} ${hash('sha256', openRow(key, value), 'hex')}\n`);
      }
    } catch (error) {
      throw this.#damage(error);
    }
    return hash('sha256', digests.join(''), 'hex');
  }

  async close(): Promise<void> {
    this.#endTransaction();
    await this.#environment.close();
  }

  #updateWindows(key: Uint8Array, row: readonly Window[]): void {
    const device = String(numberOfKey(key));
    const known = this.#windows.get(device);
    if (known === undefined) return;
    known.set(secondOfKey(key), row);
    this.#windows.set(device, known, known.size * WINDOW_BYTES);
  }

  #checkpointOf({ counters, pastEpochs }: RowSource, standing: Standing): CheckpointRow {
    const rule = pastEpochs === undefined ? {} : { pastEpochs };
    return { contract: this.#contract, ...standing, ...counters, ...rule };
  }

  /** Whatever reading them throws, the tables are not what was written. */
  #damage(thrown: unknown): ProjectionError {
    const damage =
      thrown instanceof ProjectionError
        ? thrown
        : new ProjectionError('damaged', 'the tables cannot be read', { cause: thrown });
    this.#onDamage(damage);
    return damage;
  }

  #repin(): void {
    this.#endTransaction();
    this.#db.resetReadTxn();
    this.#transaction = this.#db.useReadTransaction();
    this.#isDone = false;
    this.#pinned = { transaction: this.#transaction };
  }

  /** Once: where the library gives no new one, after a disk failed under it, the old one is over all the same. */
  #endTransaction(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#transaction.done();
  }
}

function outOfOrder(): ProjectionError {
  return new ProjectionError('damaged', 'rows of the tables are out of order');
}

/** The library shows the length of a value on a buffer that is longer. */
function bytesOf(value: Buffer | Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.length);
}
