/**
 * The plain part of CBOR: integers, byte strings, ASCII text, arrays, maps with text keys, true, false, null. That is all
 * this protocol writes, and it is read and written several times a message, so it has a short way of its own. What is not
 * plain, or not well-formed, is left to the general library: these two never decide that something is wrong. A property
 * test holds them to that library's results.
 */

/** The item has to be read by the general decoder. */
export const NOT_PLAIN: unique symbol = Symbol('not plain');

const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const TWO_32 = 0x1_0000_0000;
/** Deeper values are for the general library, which says where it ends. */
const DEPTH_MAX = 32;
const INSERTION_SORT_MAX = 32;
/** Longer than any id. */
const TEXT_PART_CHARACTERS = 64;
const SCRATCH_BYTES = 64 * 1024;
const SCRATCH_KEPT_BYTES = 4 * 1024 * 1024;

/**
 * One item that fills the bytes, with shortest heads and no repeated key. Byte strings are copies, or views of `bytes` when
 * those are shared. Anything else is {@link NOT_PLAIN}.
 */
export function decodePlain(bytes: Uint8Array, shared: boolean): unknown {
  const reader = new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), shared);
  const value = reader.item(0);
  return reader.at === bytes.length ? value : NOT_PLAIN;
}

/** Characters of the text that is being read, an array for each length. */
const codes: readonly number[][] = Array.from({ length: TEXT_PART_CHARACTERS + 1 }, (_, length) =>
  new Array<number>(length).fill(0),
);

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #shared: boolean;

  constructor(bytes: Uint8Array, shared: boolean) {
    this.#bytes = bytes;
    this.#shared = shared;
  }

  item(depth: number): unknown {
    const head = this.#bytes[this.at];
    if (head === undefined || depth > DEPTH_MAX) return NOT_PLAIN;
    const major = head >> 5;
    if (major > MAP) return this.#simple(head);
    const argument = this.#argument(head & 31);
    if (argument < 0) return NOT_PLAIN;
    if (major === UINT) return argument;
    if (major === NEGATIVE) return argument < TWO_32 ? -1 - argument : NOT_PLAIN;
    // an item of each element's own is one byte or more, so this bounds all four
    if (argument > this.#bytes.length - this.at) return NOT_PLAIN;
    if (major === BYTES) return this.#byteString(argument);
    if (major === TEXT) return this.#text(argument);
    return major === ARRAY ? this.#array(argument, depth + 1) : this.#map(argument, depth + 1);
  }

  #simple(head: number): unknown {
    this.at += 1;
    if (head === FALSE) return false;
    if (head === TRUE) return true;
    return head === NULL ? null : NOT_PLAIN;
  }

  /** Negative when it is cut off, not the shortest, or beyond what a number holds. */
  #argument(minor: number): number {
    const bytes = this.#bytes;
    const start = this.at + 1;
    if (minor < 24) {
      this.at = start;
      return minor;
    }
    if (minor > 27) return -1;
    const width = 1 << (minor - 24);
    if (start + width > bytes.length) return -1;
    let value = 0;
    for (let i = 0; i < width; i += 1) value = value * 256 + bytes[start + i]!;
    const least = width === 1 ? 24 : width === 8 ? TWO_32 : 2 ** (4 * width);
    this.at = start + width;
    return value >= least && value <= Number.MAX_SAFE_INTEGER ? value : -1;
  }

  #byteString(length: number): Uint8Array {
    const start = this.at;
    this.at = start + length;
    return this.#shared ? this.#bytes.subarray(start, this.at) : this.#bytes.slice(start, this.at);
  }

  #text(length: number): unknown {
    const bytes = this.#bytes;
    const end = this.at + length;
    let bits = 0;
    let text = '';
    for (let start = this.at; start < end; start += TEXT_PART_CHARACTERS) {
      const part = Math.min(TEXT_PART_CHARACTERS, end - start);
      const own = codes[part]!;
      for (let i = 0; i < part; i += 1) {
        const code = bytes[start + i]!;
        bits |= code;
        own[i] = code;
      }
      // in one call: a text put together from pieces is made one when it is first looked at, at four times the cost
      text += String.fromCharCode.apply(null, own);
    }
    if (bits > 0x7f) return NOT_PLAIN;
    this.at = end;
    return text;
  }

  #array(length: number, depth: number): unknown {
    const array: unknown[] = [];
    for (let i = 0; i < length; i += 1) {
      const element = this.item(depth);
      if (element === NOT_PLAIN) return NOT_PLAIN;
      array.push(element);
    }
    return array;
  }

  #map(size: number, depth: number): unknown {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < size; i += 1) {
      const key = this.item(depth);
      if (typeof key !== 'string' || key === '__proto__' || Object.hasOwn(map, key)) return NOT_PLAIN;
      const value = this.item(depth);
      if (value === NOT_PLAIN) return NOT_PLAIN;
      map[key] = value;
    }
    return map;
  }
}

let scratch: Uint8Array | undefined;

/** Deterministic CBOR of a plain value, members that are `undefined` left out; `undefined` when it is not plain. */
export function encodePlain(value: unknown): Uint8Array | undefined {
  scratch ??= new Uint8Array(SCRATCH_BYTES);
  const writer = new Writer(scratch);
  const isPlain = writer.item(value, 0);
  scratch = writer.bytes.length > SCRATCH_KEPT_BYTES ? undefined : writer.bytes;
  return isPlain ? writer.bytes.slice(0, writer.at) : undefined;
}

class Writer {
  at = 0;
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  item(value: unknown, depth: number): boolean {
    if (depth > DEPTH_MAX) return false;
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        if (!Number.isSafeInteger(value)) return false;
        if (value < 0) this.#head(NEGATIVE, -1 - value);
        else this.#head(UINT, value);
        return true;
      case 'boolean':
        this.#byte(value ? TRUE : FALSE);
        return true;
      case 'object':
        if (value === null) return this.#byte(NULL);
        if (value instanceof Uint8Array) return this.#byteString(value);
        return Array.isArray(value) ? this.#array(value, depth + 1) : this.#map(value, depth + 1);
      default:
        return false;
    }
  }

  #text(text: string): boolean {
    const { length } = text;
    this.#head(TEXT, length);
    this.#reserve(length);
    const { bytes, at } = this;
    for (let i = 0; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at + i] = code;
    }
    this.at = at + length;
    return true;
  }

  #byteString(value: Uint8Array): boolean {
    this.#head(BYTES, value.length);
    this.#reserve(value.length);
    this.bytes.set(value, this.at);
    this.at += value.length;
    return true;
  }

  #array(array: readonly unknown[], depth: number): boolean {
    this.#head(ARRAY, array.length);
    for (let i = 0; i < array.length; i += 1) if (!this.item(array[i], depth)) return false;
    return true;
  }

  #map(value: object, depth: number): boolean {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return false;
    const map = value as Readonly<Record<string, unknown>>;
    const keys = Object.keys(map).filter((key) => map[key] !== undefined);
    sortKeys(keys);
    this.#head(MAP, keys.length);
    for (const key of keys) {
      if (key === '__proto__' || !this.#text(key) || !this.item(map[key], depth)) return false;
    }
    return true;
  }

  #byte(byte: number): true {
    this.#reserve(1);
    this.bytes[this.at++] = byte;
    return true;
  }

  #head(major: number, argument: number): void {
    this.#reserve(9);
    const type = major << 5;
    if (argument < 24) {
      this.bytes[this.at++] = type | argument;
      return;
    }
    const log = argument < 0x100 ? 0 : argument < 0x1_0000 ? 1 : argument < TWO_32 ? 2 : 3;
    const width = 1 << log;
    this.bytes[this.at] = type | (24 + log);
    let rest = argument;
    for (let i = width; i > 0; i -= 1) {
      this.bytes[this.at + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.at += 1 + width;
  }

  #reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.at + length));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }
}

/** Shorter keys first, then by their characters (RFC 8949 §4.2.3); most objects are nearly so. */
function sortKeys(keys: string[]): void {
  if (keys.length > INSERTION_SORT_MAX) {
    keys.sort((a, b) => (isBehind(a, b) ? 1 : -1));
    return;
  }
  for (let i = 1; i < keys.length; i += 1) {
    const key = keys[i]!;
    let at = i;
    while (at > 0 && isBehind(keys[at - 1]!, key)) {
      keys[at] = keys[at - 1]!;
      at -= 1;
    }
    keys[at] = key;
  }
}

function isBehind(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}
