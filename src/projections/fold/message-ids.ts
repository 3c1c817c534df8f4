import { fromUtf8 } from '../../wire/bytes.ts';
import { readUint48, writeUint32, writeUint48 } from '../order.ts';
import { writeAscii } from './chain.ts';
import { clientIdKeyBytes, clientIdOfKeyBytes, compareClientIds } from './client-id-order.ts';
import { TABLE } from './keys.ts';
import type { Table } from './table.ts';

/**
 * Which message ids of a device a group has placed already. Ids of one device grow with time (`newClientId`), so those
 * that travel together and are later than all before become one row, a run; any other id gets a row of its own. Both
 * are exact; the split follows from the events alone, never from how they were batched.
 */
export interface RunItem {
  readonly id: string;
  readonly position: number;
}

/** Ascending ids, all greater than those the device had placed in the group before. A stored one is never empty. */
export type Run = readonly RunItem[];

/** One device in one group, both by number. */
export interface Sender {
  readonly group: number;
  readonly device: number;
}

const PREFIX_BYTES = 9;
const ITEM_HEAD_BYTES = 7;

/** Position of a message whose id did not ascend. */
export const messageSingles: Table<Sender & { readonly id: string }, number> = {
  key: ({ group, device, id }) => messageIdKey(TABLE.messageSingle, { group, device }, id),
  encode(position) {
    const row = new Uint8Array(6);
    writeUint48(row, 0, position);
    return row;
  },
  decode: (bytes) => readUint48(bytes, 0),
  cached: false,
};

/** `table ‖ group (4) ‖ device (4) ‖ id`; a run stands under its last id. */
export function messageIdKey(table: number, { group, device }: Sender, id: string): Uint8Array {
  const key = new Uint8Array(PREFIX_BYTES + id.length);
  key[0] = table;
  writeUint32(key, 1, group);
  writeUint32(key, 5, device);
  clientIdKeyBytes(id, key, PREFIX_BYTES);
  return key;
}

/** Behind every {@link messageIdKey} of this sender. */
export function messageIdKeyEnd(table: number, sender: Sender): Uint8Array {
  const key = new Uint8Array(PREFIX_BYTES + 1);
  key.set(messageIdKey(table, sender, ''));
  key[PREFIX_BYTES] = 0xff;
  return key;
}

export function idOfMessageKey(key: Uint8Array): string {
  return clientIdOfKeyBytes(key.subarray(PREFIX_BYTES));
}

export function encodeRun(run: Run): Uint8Array {
  let length = 0;
  for (const { id } of run) length += ITEM_HEAD_BYTES + id.length;
  const row = new Uint8Array(length);
  let at = 0;
  for (const { id, position } of run) {
    writeUint48(row, at, position);
    row[at + 6] = id.length;
    writeAscii(row, at + ITEM_HEAD_BYTES, id);
    at += ITEM_HEAD_BYTES + id.length;
  }
  return row;
}

export function decodeRun(row: Uint8Array): Run {
  const run: RunItem[] = [];
  for (let at = 0; at < row.length; at += ITEM_HEAD_BYTES + row[at + 6]!) {
    const idStart = at + ITEM_HEAD_BYTES;
    run.push({ position: readUint48(row, at), id: fromUtf8(row.subarray(idStart, idStart + row[at + 6]!)) ?? '' });
  }
  return run;
}

/** Collects the ids of one batch that are later than all the sender had placed, in any order, for those made in one millisecond come in any. */
export class RunBuilder {
  readonly #positions = new Map<string, number>();
  #newest = '';
  #isAscending = true;

  has(id: string): boolean {
    return this.#positions.has(id);
  }

  /** An id that is not there yet. */
  add(id: string, position: number): void {
    this.#positions.set(id, position);
    if (compareClientIds(this.#newest, id) < 0) this.#newest = id;
    else this.#isAscending = false;
  }

  /** Empty when nothing was added. */
  build(): Run {
    const run = Array.from(this.#positions, ([id, position]) => ({ id, position }));
    return this.#isAscending ? run : run.sort((a, b) => compareClientIds(a.id, b.id));
  }
}

/** Position of an id in a run; `undefined` when it is not there. */
export function findInRun(run: Run, id: string): number | undefined {
  let low = 0;
  let high = run.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareClientIds(run[middle]!.id, id);
    if (order === 0) return run[middle]!.position;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

/** Of runs in ascending order, the first whose last id is not before this one: the only one that can hold it. */
export function runFor(runs: readonly Run[], id: string): Run | undefined {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareClientIds(runs[middle]!.at(-1)!.id, id) < 0) low = middle + 1;
    else high = middle;
  }
  return runs[low];
}

/** Sender of message ids as a key of a map. */
export function senderId({ group, device }: Sender): string {
  return `${group}:${device}`;
}
