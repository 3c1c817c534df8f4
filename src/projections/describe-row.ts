import { fromUtf8, toBase64Url, toHex } from '../wire/bytes.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET } from './fold/entry-row.ts';
import { INBOX_KEY_ORDER_OFFSET, numberOfKey, positionOfKey, secondOfKey, TABLE } from './fold/keys.ts';
import { groupHeads } from './fold/rows.ts';
import { readOrder, readUint48 } from './order.ts';

/** The id of a group by its number, where it is known. */
export type GroupNames = (group: number) => string;

const LARGE_NUMBER_AT = 5;
const SHOWN_BYTES = 8;
const TABLE_NAMES = new Map<number, string>(
  Object.entries(TABLE).map(([name, number]) => [
    number,
    name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
  ]),
);

/** Which row a key belongs to, in words. Holds ids, never names and never what is in the row. */
export function describeKey(key: Uint8Array, groupName: GroupNames): string {
  const table = TABLE_NAMES.get(key[0] ?? 0) ?? `table ${key[0]}`;
  switch (key[0]) {
    case TABLE.entry:
      return `entry ${positionOfKey(key)} of group ${groupName(numberOfKey(key))}`;
    case TABLE.head:
    case TABLE.pendingProposals:
    case TABLE.unusedWelcomes:
    case TABLE.logStart:
      return `${table} of group ${groupName(numberOfKey(key))}`;
    case TABLE.groupInfo:
    case TABLE.epochStart:
      return `${table} of epoch ${readUint48(key, LARGE_NUMBER_AT)} of group ${groupName(numberOfKey(key))}`;
    case TABLE.messageRun:
    case TABLE.messageSingle:
      return `message ids of device number ${secondOfKey(key)} in group ${groupName(numberOfKey(key))}`;
    case TABLE.window:
      return `window of device number ${numberOfKey(key)} into group ${groupName(secondOfKey(key))}`;
    case TABLE.inbox: {
      const { sequence, index } = readOrder(key, INBOX_KEY_ORDER_OFFSET);
      return `inbox entry of device number ${numberOfKey(key)} from event ${sequence} (index ${index})`;
    }
    case TABLE.group:
      return `group ${toBase64Url(key.subarray(1))}`;
    case TABLE.account:
    case TABLE.device:
    case TABLE.deviceNumber:
    case TABLE.name:
    case TABLE.lane:
    case TABLE.stock:
    case TABLE.request:
      return `${table} ${fromUtf8(key.subarray(1)) ?? toHex(key.subarray(1))}`;
    default:
      return `${table} ${toHex(key.subarray(1))}`;
  }
}

/** In what two values of one row differ, in words. */
export function describeValues(key: Uint8Array, fromLog: Uint8Array, stored: Uint8Array): string {
  const at = firstDifference(fromLog, stored);
  if (key[0] === TABLE.entry && stored.length >= ENTRY_FRAMED_OFFSET) {
    const part = at < ENTRY_HEAD_OFFSET ? 'its place' : at < ENTRY_FRAMED_OFFSET ? 'its head' : 'its bytes';
    return `${part} ${at < ENTRY_FRAMED_OFFSET && at >= ENTRY_HEAD_OFFSET ? 'is' : 'are'} ${bytesAt(fromLog, at)} by the log, ${bytesAt(stored, at)} in the tables (byte ${at} of the row)`;
  }
  if (key[0] === TABLE.head && stored.length === fromLog.length) {
    const [log, tables] = [groupHeads.decode(fromLog), groupHeads.decode(stored)];
    return `position ${log.position}, head ${toHex(log.hash)} by the log; position ${tables.position}, head ${toHex(tables.hash)} in the tables`;
  }
  return `${bytesAt(fromLog, at)} by the log, ${bytesAt(stored, at)} in the tables (byte ${at}; ${fromLog.length} and ${stored.length} bytes in all)`;
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i += 1) if (a[i] !== b[i]) return i;
  return end;
}

function bytesAt(bytes: Uint8Array, at: number): string {
  if (at >= bytes.length) return 'ended';
  return `${toHex(bytes.subarray(at, at + SHOWN_BYTES))}${at + SHOWN_BYTES < bytes.length ? '…' : ''}`;
}
