import { CBOR_BYTES, cborHead, encodeCbor } from '../../wire/cbor.ts';
import { ORDER_BYTES, writeOrder } from '../order.ts';
import { type Chain, HEAD_BYTES, writeAscii } from './chain.ts';
import { ENTRY_FRAMED_OFFSET, ENTRY_HEAD_OFFSET, frameHeadBytes } from './entry-row.ts';

/**
 * Message entries are most of a log, so they have an encoder of their own; a property test holds it to the bytes of
 * `encodeEntry`. Deterministic CBOR sorts keys by length, then bytewise: id, kind, time, epoch, group, sender,
 * payload, position.
 */
const MAP_OF_8 = 0xa8;
const KEY_ID = encodeCbor('id');
const KEY_KIND_MESSAGE_TIME = Buffer.concat([encodeCbor('kind'), encodeCbor('message'), encodeCbor('time')]);
const KEY_EPOCH = encodeCbor('epoch');
const KEY_GROUP = encodeCbor('group');
const KEY_SENDER = encodeCbor('sender');
const KEY_PAYLOAD = encodeCbor('payload');
const KEY_POSITION = encodeCbor('position');
const UINT = 0;
const TEXT = 3;
/** The longest head of a CBOR item. */
const HEAD_MAX_BYTES = 9;

/** What all messages of one batch of one epoch have between their id and their payload. */
export function messageMiddle(time: number, epoch: number, group: Uint8Array, sender: string): Uint8Array {
  return Buffer.concat([
    KEY_KIND_MESSAGE_TIME,
    encodeCbor(time),
    KEY_EPOCH,
    encodeCbor(epoch),
    KEY_GROUP,
    cborHead(CBOR_BYTES, group.length),
    group,
    KEY_SENDER,
    encodeCbor(sender),
    KEY_PAYLOAD,
  ]);
}

/** An upper bound of the row that {@link writeMessageRow} writes. */
export function messageRowMaxBytes(middleBytes: number, idLength: number, payloadLength: number): number {
  const heads = 4 * HEAD_MAX_BYTES + KEY_ID.length + KEY_POSITION.length + 1;
  return ORDER_BYTES + HEAD_BYTES + heads + middleBytes + idLength + payloadLength;
}

/**
 * Writes the row of one message (see `entryRow`) at `start`, and gives the offset after it. `id` is ASCII.
 */
export function writeMessageRow(
  target: Uint8Array,
  start: number,
  message: {
    readonly id: string;
    readonly middle: Uint8Array;
    readonly payload: Uint8Array;
    readonly position: number;
    readonly sequence: number;
    readonly index: number;
    readonly chain: Chain;
  },
): number {
  const { id, middle, payload, position } = message;
  const entryBytes =
    1 +
    KEY_ID.length +
    frameHeadBytes(id.length) +
    id.length +
    middle.length +
    frameHeadBytes(payload.length) +
    payload.length +
    KEY_POSITION.length +
    uintBytes(position);
  writeOrder(target, start, message.sequence, message.index);
  const entryStart = writeHead(target, start + ENTRY_FRAMED_OFFSET, CBOR_BYTES, entryBytes);
  let at = entryStart;
  target[at] = MAP_OF_8;
  at += 1;
  target.set(KEY_ID, at);
  at = writeHead(target, at + KEY_ID.length, TEXT, id.length);
  writeAscii(target, at, id);
  at += id.length;
  target.set(middle, at);
  at = writeHead(target, at + middle.length, CBOR_BYTES, payload.length);
  target.set(payload, at);
  at += payload.length;
  target.set(KEY_POSITION, at);
  at = writeHead(target, at + KEY_POSITION.length, UINT, position);
  message.chain.extend(target.subarray(entryStart, at), target, start + ENTRY_HEAD_OFFSET);
  return at;
}

/**
 * Writes the row of a message whose ciphertext was removed: its place and the head after it, no entry. It is there only until
 * the fold comes to the `group-compacted` that it was removed for. Gives the offset after it.
 */
export function writeRemovedRow(
  target: Uint8Array,
  start: number,
  removed: {
    /** SHA-256 of the entry. */
    readonly entry: Uint8Array;
    readonly sequence: number;
    readonly index: number;
    readonly chain: Chain;
  },
): number {
  writeOrder(target, start, removed.sequence, removed.index);
  removed.chain.extendBy(removed.entry, target, start + ENTRY_HEAD_OFFSET);
  return start + ENTRY_FRAMED_OFFSET;
}

function uintBytes(value: number): number {
  return value < 0x1_0000_0000 ? frameHeadBytes(value) : 9;
}

function writeHead(target: Uint8Array, at: number, major: number, argument: number): number {
  const type = major << 5;
  if (argument < 24) {
    target[at] = type | argument;
    return at + 1;
  }
  if (argument < 0x100) {
    target[at] = type | 24;
    target[at + 1] = argument;
    return at + 2;
  }
  if (argument < 0x1_0000) {
    target[at] = type | 25;
    target[at + 1] = argument >>> 8;
    target[at + 2] = argument;
    return at + 3;
  }
  if (argument < 0x1_0000_0000) {
    target[at] = type | 26;
    target[at + 1] = argument >>> 24;
    target[at + 2] = argument >>> 16;
    target[at + 3] = argument >>> 8;
    target[at + 4] = argument;
    return at + 5;
  }
  target[at] = type | 27;
  writeBigUint(target, at + 1, argument);
  return at + 9;
}

function writeBigUint(target: Uint8Array, at: number, value: number): void {
  let rest = value;
  for (let i = 7; i >= 0; i -= 1) {
    target[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}
