import { toUtf8 } from '../../wire/bytes.ts';
import { ProjectionError } from '../errors.ts';
import { ORDER_BYTES, readUint32, readUint48, writeOrder, writeUint32, writeUint48 } from '../order.ts';

/** First byte of every key: which table the row belongs to. Never reuse a number for something else. */
export const TABLE = {
  meta: 0x01,
  entry: 0x10,
  inbox: 0x11,
  head: 0x12,
  messageRun: 0x13,
  messageSingle: 0x14,
  group: 0x20,
  groupInfo: 0x21,
  epochStart: 0x22,
  pendingProposals: 0x23,
  unusedWelcomes: 0x24,
  window: 0x25,
  logStart: 0x26,
  account: 0x30,
  device: 0x31,
  deviceNumber: 0x32,
  name: 0x33,
  lane: 0x34,
  keyPackage: 0x40,
  stock: 0x41,
  claim: 0x42,
  request: 0x50,
} as const;

/** Longer parts of a key belong to no event that a server writes. */
const KEY_PART_MAX_BYTES = 256;
const NUMBER_BYTES = 4;
const POSITION_BYTES = 8;

/** `table ‖ group number (4) ‖ position (8)`, so that one group's entries lie side by side in order. */
export function entryKey(groupNo: number, position: number): Uint8Array {
  const key = new Uint8Array(1 + NUMBER_BYTES + POSITION_BYTES);
  key[0] = TABLE.entry;
  writeUint32(key, 1, groupNo);
  writeUint48(key, 1 + NUMBER_BYTES + 2, position);
  return key;
}

/** Points a key made by {@link entryKey} at another position of the same group. */
export function moveEntryKey(key: Uint8Array, position: number): void {
  writeUint48(key, 1 + NUMBER_BYTES + 2, position);
}

/** The position in an {@link entryKey}. */
export function positionOfKey(key: Uint8Array): number {
  return readUint48(key, 1 + NUMBER_BYTES + 2);
}

/** `table ‖ device number (4) ‖ order (12)` */
export function inboxKey(deviceNo: number, sequence: number, index: number): Uint8Array {
  const key = new Uint8Array(1 + NUMBER_BYTES + ORDER_BYTES);
  key[0] = TABLE.inbox;
  writeUint32(key, 1, deviceNo);
  writeOrder(key, 1 + NUMBER_BYTES, sequence, index);
  return key;
}

/** Where the order stands in an {@link inboxKey}. */
export const INBOX_KEY_ORDER_OFFSET = 1 + NUMBER_BYTES;

/** `table ‖ number (4)` */
export function numberKey(table: number, number: number): Uint8Array {
  const key = new Uint8Array(1 + NUMBER_BYTES);
  key[0] = table;
  writeUint32(key, 1, number);
  return key;
}

/** The number in a {@link numberKey}, or the first one of a {@link pairKey}. */
export function numberOfKey(key: Uint8Array): number {
  return readUint32(key, 1);
}

/** `table ‖ number (4) ‖ number (4)` */
export function pairKey(table: number, first: number, second: number): Uint8Array {
  const key = new Uint8Array(1 + 2 * NUMBER_BYTES);
  key[0] = table;
  writeUint32(key, 1, first);
  writeUint32(key, 1 + NUMBER_BYTES, second);
  return key;
}

/** The second number of a {@link pairKey}. */
export function secondOfKey(key: Uint8Array): number {
  return readUint32(key, 1 + NUMBER_BYTES);
}

/** `table ‖ number (4) ‖ large number (6)` */
export function numberLargeKey(table: number, number: number, large: number): Uint8Array {
  const key = new Uint8Array(1 + NUMBER_BYTES + 6);
  key[0] = table;
  writeUint32(key, 1, number);
  writeUint48(key, 1 + NUMBER_BYTES, large);
  return key;
}

/** `table ‖ bytes`. @throws ProjectionError `invalid-event` when they are more than a key holds. */
export function bytesKey(table: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length > KEY_PART_MAX_BYTES) {
    throw new ProjectionError('invalid-event', `an id of ${bytes.length} bytes cannot be a key`);
  }
  const key = new Uint8Array(1 + bytes.length);
  key[0] = table;
  key.set(bytes, 1);
  return key;
}

/** `table ‖ UTF-8`. @throws ProjectionError `invalid-event` */
export function textKey(table: number, text: string): Uint8Array {
  return asciiKey(table, text) ?? bytesKey(table, toUtf8(text));
}

/** Most texts are ids: an encoder that is called for each costs more than all the rest of a lookup. */
function asciiKey(table: number, text: string): Uint8Array | undefined {
  if (text.length > KEY_PART_MAX_BYTES) return undefined;
  const key = new Uint8Array(1 + text.length);
  key[0] = table;
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    bits |= code;
    key[i + 1] = code;
  }
  return bits > 0x7f ? undefined : key;
}

/** `table ‖ length (1) ‖ bytes ‖ more bytes`. @throws ProjectionError `invalid-event` */
export function bytesKeyPair(table: number, first: Uint8Array, second: Uint8Array = new Uint8Array(0)): Uint8Array {
  if (first.length + second.length > KEY_PART_MAX_BYTES - 1) {
    throw new ProjectionError('invalid-event', `ids of ${first.length} and ${second.length} bytes cannot be a key`);
  }
  const key = new Uint8Array(2 + first.length + second.length);
  key[0] = table;
  key[1] = first.length;
  key.set(first, 2);
  key.set(second, 2 + first.length);
  return key;
}
