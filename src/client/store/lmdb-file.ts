import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Of every store that a client makes. */
export const PAGE_BYTES = 8192;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const HEADER_BYTES = 24;
const META_BYTES = 144;
/** Of a page behind its header. */
const ROOM = PAGE_BYTES - HEADER_BYTES;
const NODE_BYTES = 8;
const OVERFLOW_REF_BYTES = 24;
const DEPTH_MAX = 32;
/** Pages that a transaction took and gave back are counted and never written; more than these, and the count is damaged: LMDB maps that much. */
const UNWRITTEN_MAX = 65_536;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
const FLAG = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;
const NODE_IS_BIG = 0x01;
/** In a meta page: its snapshot was not synced when it was written. */
const UNSYNCED = 0x1000;

/** What {@link LmdbFile.meta} says of a file that was never synced. */
export const NOT_SYNCED = 'it was never synced';

/** Where the meta pages stand: two that take turns, and the last one that was synced, in the second half of the first page. */
const META_AT = { first: 0, second: PAGE_BYTES, synced: PAGE_BYTES / 2 } as const;
export type MetaPlace = keyof typeof META_AT;
/** All of them. */
export const META_PLACES = ['first', 'second', 'synced'] as const;

export interface Tree {
  readonly depth: number;
  readonly rows: number;
  /** `undefined` of an empty tree. */
  readonly root: number | undefined;
}

/** The state of a file after one transaction, as a meta page tells it. */
export interface Snapshot {
  readonly txn: number;
  readonly lastPage: number;
  readonly unsynced: boolean;
  /** Of the start of the machine it was written in, 0 where that is not known. */
  readonly boot: bigint;
  readonly free: Tree;
  readonly main: Tree;
}

/** Where a value stands that has pages of its own, neighbours. */
export interface BigPlace {
  readonly number: number;
  readonly pages: number;
  readonly length: number;
}

/** A file of LMDB, read without LMDB: nothing in it leads out of bounds, round in circles, or is written to. */
export interface LmdbFile extends Disposable {
  readonly pages: number;
  /** The snapshot of a meta page; a text says why there is none. */
  meta(place: MetaPlace): Snapshot | string;
  /** `undefined` behind the end of the file. The memory is good until the next call. */
  page(number: number): Buffer | undefined;
  /** A value that stands on pages of its own; `undefined` where there is none. */
  big(place: BigPlace, newest: number): Buffer | undefined;
}

/** @throws Error of node:fs */
export function openLmdbFile(path: string): LmdbFile {
  const descriptor = openSync(path, 'r');
  const { size } = fstatSync(descriptor);
  const buffer = Buffer.alloc(PAGE_BYTES);
  const read = (into: Buffer, at: number): boolean => readSync(descriptor, into, 0, into.length, at) === into.length;
  const pages = Math.floor(size / PAGE_BYTES);
  return {
    pages,
    meta: (place) => {
      const bytes = Buffer.alloc(HEADER_BYTES + META_BYTES);
      return read(bytes, META_AT[place]) ? readMeta(bytes, place, pages) : 'it ends within its first pages';
    },
    page: (number) => (number < pages && read(buffer, number * PAGE_BYTES) ? buffer : undefined),
    big: ({ number, pages: count, length }, newest) => {
      if (count < Math.floor((HEADER_BYTES - 1 + length) / PAGE_BYTES) + 1 || number + count > pages) return undefined;
      const bytes = Buffer.alloc(HEADER_BYTES + length);
      if (number < 2 || !read(bytes, number * PAGE_BYTES)) return undefined;
      const isWhole = bytes.readUInt16LE(18) === FLAG.overflow && bytes.readUInt32LE(20) === count;
      return isWhole && headerFault(bytes, number, newest) === undefined ? bytes.subarray(HEADER_BYTES) : undefined;
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

function readMeta(bytes: Buffer, place: MetaPlace, pages: number): Snapshot | string {
  const at = (offset: number): number => Number(bytes.readBigUInt64LE(HEADER_BYTES + offset));
  const word = (offset: number): number => bytes.readUInt32LE(HEADER_BYTES + offset);
  if (place !== 'synced') {
    const isMeta = bytes.readUInt16LE(18) === FLAG.meta && at(-HEADER_BYTES) === (place === 'first' ? 0 : 1);
    if (!isMeta || word(0) !== MAGIC) return 'it does not begin like a store';
    if ((word(4) & 0xffff) !== DATA_VERSION) return `it is of version ${word(4)} of its format`;
  } else if (at(128) === 0) return NOT_SYNCED;
  if (word(24) !== PAGE_BYTES) return `its pages are said to have ${word(24)} bytes`;
  const txn = at(128);
  const snapshot: Snapshot = {
    txn,
    lastPage: at(120),
    unsynced: (bytes.readUInt16LE(HEADER_BYTES + 28) & UNSYNCED) !== 0,
    boot: bytes.readBigInt64LE(HEADER_BYTES + 136),
    free: readTree(bytes, HEADER_BYTES + 24),
    main: readTree(bytes, HEADER_BYTES + 72),
  };
  const { lastPage, free, main } = snapshot;
  const counts = [txn, lastPage, free.rows, main.rows, free.root ?? 0, main.root ?? 0];
  const isPossible =
    counts.every(Number.isSafeInteger) &&
    lastPage < pages + UNWRITTEN_MAX &&
    [free, main].every(({ depth, root }) => depth <= DEPTH_MAX && (root === undefined) === (depth === 0)) &&
    [free, main].every(({ root = 2 }) => root >= 2 && root <= Math.max(2, lastPage)) &&
    (place === 'synced' || txn === 0 || txn % 2 === (place === 'first' ? 0 : 1));
  return isPossible ? snapshot : 'its beginning is damaged';
}

function readTree(bytes: Buffer, at: number): Tree {
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    depth: bytes.readUInt16LE(at + 6),
    rows: Number(bytes.readBigUInt64LE(at + 32)),
    root: root === NO_PAGE ? undefined : Number(root),
  };
}

/** What is wrong with a page's header. */
function headerFault(page: Buffer, number: number, newest: number): string | undefined {
  if (Number(page.readBigUInt64LE(0)) !== number) return 'is not the page it should be';
  return Number(page.readBigUInt64LE(8)) > newest ? 'is newer than its tree' : undefined;
}

type Kind = 'branch' | 'leaf';

/** How many nodes a page says that it has; a text says why that cannot be. */
function countNodes(page: Buffer, kind: Kind): number | string {
  const [flags, lower, upper] = [page.readUInt16LE(18), page.readUInt16LE(20), page.readUInt16LE(22)];
  if (flags !== FLAG[kind]) return `is no ${kind}`;
  return lower % 2 === 0 && lower > 0 && lower <= upper && upper <= ROOM ? lower / 2 : 'has impossible bounds';
}

/** Where a node's key and value end, within its page; `undefined` out of bounds. */
function extentOf(page: Buffer, index: number, kind: Kind): { readonly at: number; readonly end: number } | undefined {
  const offset = page.readUInt16LE(HEADER_BYTES + index * 2);
  if (offset % 2 !== 0 || offset < page.readUInt16LE(22) || offset + NODE_BYTES > ROOM) return undefined;
  const at = HEADER_BYTES + offset;
  const flag = page.readUInt16LE(at + 4);
  if (kind === 'leaf' && flag > NODE_IS_BIG) return undefined;
  const size = kind === 'branch' ? 0 : flag === NODE_IS_BIG ? OVERFLOW_REF_BYTES : sizeOf(page, at);
  const end = at + NODE_BYTES + page.readUInt16LE(at + 6) + size;
  return end <= PAGE_BYTES ? { at, end } : undefined;
}

/** Length of the value of the node that stands there, or the lower part of the number of the page below it. */
function sizeOf(page: Buffer, at: number): number {
  return page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 0x1_0000;
}

/** What is wrong with a branch or leaf page; its nodes fill it without gaps, so that a changed length or place shows. */
export function pageFault(page: Buffer, number: number, kind: Kind, newest: number): string | undefined {
  const count = countNodes(page, kind);
  if (typeof count === 'string') return count;
  // every page of a file is looked at in this way, at every start
  const words = new Uint16Array(page.buffer, page.byteOffset, PAGE_BYTES / 2);
  const upper = words[11]!;
  let used = 0;
  for (let index = 0; index < count; index += 1) {
    const offset = words[HEADER_BYTES / 2 + index]!;
    if (offset % 2 !== 0 || offset < upper || offset + NODE_BYTES > ROOM) return 'has a row out of bounds';
    const at = (HEADER_BYTES + offset) / 2;
    const flag = words[at + 2]!;
    let length = NODE_BYTES + words[at + 3]!;
    if (kind === 'leaf') {
      if (flag > NODE_IS_BIG) return 'has a row of an unknown kind';
      length += flag === NODE_IS_BIG ? OVERFLOW_REF_BYTES : words[at]! + words[at + 1]! * 0x1_0000;
    }
    if (offset + length > ROOM) return 'has a row out of bounds';
    used += length + (length % 2);
  }
  return used === ROOM - upper ? headerFault(page, number, newest) : 'has rows that overlap';
}

export interface Child {
  /** Memory of its own. Of the first child it says nothing. */
  readonly key: Buffer;
  readonly number: number;
}

/** The pages below a branch page, as far as they can be read. */
export function childrenOf(page: Buffer): readonly Child[] {
  const count = countNodes(page, 'branch');
  const children: Child[] = [];
  for (let index = 0; typeof count === 'number' && index < count; index += 1) {
    const extent = extentOf(page, index, 'branch');
    if (extent === undefined) continue;
    const { at, end } = extent;
    const number = sizeOf(page, at) + page.readUInt16LE(at + 4) * 0x1_0000_0000;
    children.push({ key: Buffer.from(page.subarray(at + NODE_BYTES, end)), number });
  }
  return children;
}

/** The first and last key of a sound leaf page, in its memory, and which of its values have pages of their own. */
export function outlineOf(page: Buffer): {
  readonly rows: number;
  readonly first: Buffer;
  readonly last: Buffer;
  readonly bigs: readonly BigPlace[];
} {
  const rows = page.readUInt16LE(20) / 2;
  const words = new Uint16Array(page.buffer, page.byteOffset, PAGE_BYTES / 2);
  const atOf = (index: number): number => HEADER_BYTES + words[HEADER_BYTES / 2 + index]!;
  const keyOf = (index: number): Buffer => {
    const at = atOf(index) + NODE_BYTES;
    return page.subarray(at, at + words[at / 2 - 1]!);
  };
  const bigs: BigPlace[] = [];
  for (let index = 0; index < rows; index += 1) {
    const at = atOf(index);
    if (words[at / 2 + 2] === NODE_IS_BIG) bigs.push(bigPlaceOf(page, at));
  }
  return { rows, first: keyOf(0), last: keyOf(rows - 1), bigs };
}

function bigPlaceOf(page: Buffer, at: number): BigPlace {
  const refAt = at + NODE_BYTES + page.readUInt16LE(at + 6);
  const [number, pages] = [0, 16].map((field) => Number(page.readBigUInt64LE(refAt + field))) as [number, number];
  return { number, pages, length: sizeOf(page, at) };
}

export interface LeafRow {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Where the value stands when it is not on the leaf. */
  readonly big?: BigPlace;
}

/** The rows of a leaf page, as far as they can be read, in memory of their own; `undefined` for one that cannot. */
export function leafRowsOf(page: Buffer): readonly (LeafRow | undefined)[] {
  const count = countNodes(page, 'leaf');
  if (typeof count === 'string') return [];
  const copy = Buffer.from(page);
  return Array.from({ length: count }, (_none, index) => {
    const extent = extentOf(copy, index, 'leaf');
    if (extent === undefined) return undefined;
    const { at, end } = extent;
    const valueAt = at + NODE_BYTES + copy.readUInt16LE(at + 6);
    const row = { key: copy.subarray(at + NODE_BYTES, valueAt), value: copy.subarray(valueAt, end) };
    return copy.readUInt16LE(at + 4) === NODE_IS_BIG ? { ...row, big: bigPlaceOf(copy, at) } : row;
  });
}
