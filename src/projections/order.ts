/**
 * Where an entry stands among all entries: the sequence of its event, then its index among what that event became.
 * It never leaves the server unsealed.
 */
export interface Order {
  readonly sequence: number;
  readonly index: number;
}

/** Size of an encoded {@link Order}: 8 bytes of sequence, 4 of index, big-endian, so that bytes sort like orders. */
export const ORDER_BYTES = 12;
/** No entry has this index: an order with it stands after everything its event became. */
export const AFTER_EVENT = 0xffff_ffff;

/** Before every entry. */
export const START_ORDER: Order = { sequence: 0, index: 0 };

/** Negative when `a` stands before `b`, 0 when they are the same. */
export function compareOrder(a: Order, b: Order): number {
  return a.sequence - b.sequence || a.index - b.index;
}

/** Writes the 12 bytes of an order. */
export function writeOrder(target: Uint8Array, offset: number, sequence: number, index: number): void {
  writeUint48(target, offset + 2, sequence);
  target[offset] = 0;
  target[offset + 1] = 0;
  writeUint32(target, offset + 8, index);
}

/** Reads what {@link writeOrder} wrote. */
export function readOrder(source: Uint8Array, offset = 0): Order {
  return { sequence: readUint48(source, offset + 2), index: readUint32(source, offset + 8) };
}

export function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

export function readUint32(source: Uint8Array, offset: number): number {
  return (
    ((source[offset]! << 24) | (source[offset + 1]! << 16) | (source[offset + 2]! << 8) | source[offset + 3]!) >>> 0
  );
}

/** Numbers here stay below 2^48: at a million events a second that is nine years of log. */
export function writeUint48(target: Uint8Array, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  target[offset] = high >>> 8;
  target[offset + 1] = high;
  writeUint32(target, offset + 2, value >>> 0);
}

export function readUint48(source: Uint8Array, offset: number): number {
  return ((source[offset]! << 8) | source[offset + 1]!) * 0x1_0000_0000 + readUint32(source, offset + 2);
}
