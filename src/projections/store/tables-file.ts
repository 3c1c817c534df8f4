import { mkdir } from 'node:fs/promises';
import type { RootDatabase } from 'lmdb';
import { nameLane } from '../../log/subjects.ts';
import { fromBase64Url } from '../../wire/bytes.ts';
import type { DeviceId } from '../../wire/ids.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET, unframe } from '../fold/entry-row.ts';
import { entryKey, numberKey, numberOfKey, positionOfKey, TABLE } from '../fold/keys.ts';
import { decodeRun, findInRun, messageIdKey, messageIdKeyEnd, messageSingles } from '../fold/message-ids.ts';
import {
  deviceNumbers,
  type GroupHead,
  groupHeads,
  groups,
  type LogStart,
  logStarts,
  names,
  pendingProposals,
} from '../fold/rows.ts';
import { type CheckpointRow, isBookkeeping, openToRead, readCheckpoint } from './environment.ts';
import { isIntact, unsealRow } from './sealed-row.ts';

/** A row as it is stored. */
export interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Whether its checksum fits: it is what was once written. */
  readonly isIntact: boolean;
}

/** One entry of a group with the head after it. */
export interface StoredEntry {
  readonly position: number;
  readonly head: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A group by the number it has in these tables. */
export interface NumberedHead extends GroupHead {
  readonly number: number;
}

/** Tables in a file, to be looked at: nothing is written, and a server that has them open is not disturbed. */
export interface TablesFile extends AsyncDisposable {
  /** What the tables stand on, and every group's head there: both of one moment. */
  standing(): { readonly checkpoint: CheckpointRow | undefined; readonly heads: readonly NumberedHead[] };
  /** About how many rows there are, for telling how far a walk has come. */
  readonly rowCount: number;
  /** Rows after a key, in order, but for those that say how the tables were written. */
  rows(after: Uint8Array | undefined, limit: number): readonly StoredRow[];
  /** Entries of a group from a position on, in order. */
  entries(group: number, from: number, limit: number): readonly StoredEntry[];
  /** The number of the group with this id (base64url), or with this name. */
  findGroup(idOrName: string): number | undefined;
  /** Where the kept entries of a group begin; `undefined` when all are kept. */
  logStartOf(group: number): LogStart | undefined;
  /** Position of the oldest proposal that waits for a commit. */
  oldestProposal(group: number): number | undefined;
  /** Where the message of this id stands; `undefined` when it was never placed. */
  messagePosition(group: Uint8Array, device: DeviceId, id: string): number | undefined;
  /** Epoch of a group as its row says; `undefined` without such a row. */
  epochOf(group: Uint8Array): number | undefined;
  /** Copies the tables, of one moment and without unused space, into a folder that is made. */
  copyTo(dir: string): Promise<void>;
  close(): Promise<void>;
}

/** `damaged`: there are tables, but a server would throw them away and make them anew. */
export type OpenedTables =
  | { readonly kind: 'tables'; readonly file: TablesFile }
  | { readonly kind: 'none' }
  | { readonly kind: 'damaged'; readonly reason: string };

const AFTER_META = Uint8Array.of(TABLE.meta + 1);
const AFTER_HEADS = Uint8Array.of(TABLE.head + 1);

/** Opens the tables of a folder for reading. @throws Error when the folder cannot be read */
export async function openTablesFile(dir: string): Promise<OpenedTables> {
  const found = await openToRead(dir);
  return found.kind === 'tables' ? { kind: 'tables', file: tablesFile(found.db) } : found;
}

function tablesFile(db: RootDatabase<Uint8Array, Uint8Array>): TablesFile {
  const close = (): Promise<void> => db.close();
  const get = (key: Uint8Array): Uint8Array | undefined => {
    const value = db.get(key);
    return value === undefined ? undefined : new Uint8Array(unsealRow(key, value));
  };
  return {
    standing() {
      const transaction = db.useReadTransaction();
      try {
        const heads: NumberedHead[] = [];
        for (const { key, value } of db.getRange({ start: numberKey(TABLE.head, 0), end: AFTER_HEADS, transaction })) {
          heads.push({ number: numberOfKey(key), ...groupHeads.decode(new Uint8Array(unsealRow(key, value))) });
        }
        return { checkpoint: readCheckpoint(db, { transaction }), heads };
      } finally {
        transaction.done();
      }
    },
    get rowCount() {
      return (db.getStats() as { readonly entryCount: number }).entryCount;
    },
    rows(after, limit) {
      const rows: StoredRow[] = [];
      const start = after === undefined ? AFTER_META : Uint8Array.of(...after, 0);
      for (const { key, value } of db.getRange({ start, limit })) {
        if (isBookkeeping(key)) continue;
        const row = { key: new Uint8Array(key), value: new Uint8Array(unsealRow(key, value)) };
        rows.push({ ...row, isIntact: isIntact(key, value) });
      }
      return rows;
    },
    entries(group, from, limit) {
      const entries: StoredEntry[] = [];
      const range = { start: entryKey(group, from), end: numberKey(TABLE.entry, group + 1), limit };
      for (const { key, value } of db.getRange(range)) {
        const row = new Uint8Array(unsealRow(key, value));
        entries.push({
          position: positionOfKey(key),
          head: row.slice(ENTRY_HEAD_OFFSET, ENTRY_FRAMED_OFFSET),
          bytes: unframe(row.subarray(ENTRY_FRAMED_OFFSET)),
        });
      }
      return entries;
    },
    findGroup(idOrName) {
      const id = fromBase64Url(idOrName);
      const byId = id === undefined || id.length === 0 ? undefined : get(groups.key(id));
      if (byId !== undefined) return groups.decode(byId).no;
      const holder = get(names.key(nameLane('group', idOrName).hash));
      const named = holder === undefined ? undefined : names.decode(holder);
      const row = named instanceof Uint8Array ? get(groups.key(named)) : undefined;
      return row === undefined ? undefined : groups.decode(row).no;
    },
    logStartOf(group) {
      const row = get(logStarts.key(group));
      return row === undefined ? undefined : logStarts.decode(row);
    },
    oldestProposal(group) {
      const row = get(pendingProposals.key(group));
      const waiting = row === undefined ? [] : pendingProposals.decode(row).map(({ position }) => position);
      return waiting.length === 0 ? undefined : Math.min(...waiting);
    },
    messagePosition(group, device, id) {
      const [groupRow, deviceRow] = [get(groups.key(group)), get(deviceNumbers.key(device))];
      if (groupRow === undefined || deviceRow === undefined) return undefined;
      const sender = { group: groups.decode(groupRow).no, device: deviceNumbers.decode(deviceRow) };
      const single = get(messageSingles.key({ ...sender, id }));
      if (single !== undefined) return messageSingles.decode(single);
      const start = messageIdKey(TABLE.messageRun, sender, id);
      const end = messageIdKeyEnd(TABLE.messageRun, sender);
      for (const { key, value } of db.getRange({ start, end, limit: 1 })) {
        return findInRun(decodeRun(new Uint8Array(unsealRow(key, value))), id);
      }
      return undefined;
    },
    epochOf(group) {
      const row = get(groups.key(group));
      return row === undefined ? undefined : groups.decode(row).epoch;
    },
    async copyTo(dir) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await db.backup(dir, true);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
