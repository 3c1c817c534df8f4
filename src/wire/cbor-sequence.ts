import { decodeCborShared } from './cbor.ts';

/** Deeper than any item of this protocol. */
const DEPTH_MAX = 16;

/**
 * Splits a byte stream into the CBOR items it is made of (RFC 8742), as bytes. What is left of an item that the stream ends
 * in is not given: a reader knows by its own format whether the last item was the last.
 *
 * @throws SyntaxError for what is no CBOR, and for an item longer than `maxBytes`
 */
export async function* splitCborSequence(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let buffer = new Uint8Array(0);
  let length = 0;
  const scanner = new Scanner();
  for await (const chunk of chunks) {
    if (length + chunk.length > buffer.length) {
      const larger = new Uint8Array(length === 0 ? chunk.length : Math.max(2 * buffer.length, length + chunk.length));
      larger.set(buffer.subarray(0, length));
      buffer = larger;
    }
    buffer.set(chunk, length);
    length += chunk.length;
    let start = 0;
    for (let end = scanner.itemEnd(buffer, length); end !== undefined; end = scanner.itemEnd(buffer, length)) {
      yield buffer.subarray(start, end);
      start = end;
    }
    if (start > 0) {
      // what was yielded is not written to again: the rest moves to memory of its own
      buffer = buffer.slice(start, length);
      length = buffer.length;
      scanner.at -= start;
    }
    if (length > maxBytes) throw new SyntaxError(`an item has more than ${maxBytes} bytes`);
  }
}

/**
 * The items of a byte stream (RFC 8742), decoded; their byte strings share the memory of what came in one chunk.
 *
 * @throws SyntaxError as {@link splitCborSequence} does
 */
export async function* readCborSequence(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<unknown, void, undefined> {
  for await (const item of splitCborSequence(chunks, maxBytes)) yield decodeCborShared(item);
}

/** Finds where items end, and goes on where it was when there are more bytes: a page comes in dozens of chunks. */
class Scanner {
  at = 0;
  /** For each list or map that has begun: the items that are still to come. */
  readonly #open: number[] = [];

  /** Of the next item that ends; `undefined` when more than these first `length` bytes are needed. */
  itemEnd(bytes: Uint8Array, length: number): number | undefined {
    for (;;) {
      const head = readHead(bytes, this.at, length);
      if (head === undefined) return undefined;
      const { major, argument, next } = head;
      const isString = major === 2 || major === 3;
      if (isString && next + argument > length) return undefined;
      this.at = isString ? next + argument : next;
      if (major === 6) continue; // a tag; what it is about follows
      const inside = major === 4 ? argument : major === 5 ? argument * 2 : 0;
      if (inside > 0) {
        this.#open.push(inside);
        if (this.#open.length > DEPTH_MAX) throw new SyntaxError('an item is nested too deeply');
      } else if (this.#closes()) return this.at;
    }
  }

  /** Counts one item that ended; whether nothing is open any more. */
  #closes(): boolean {
    for (let last = this.#open.length - 1; last >= 0; last -= 1) {
      const left = this.#open[last]! - 1;
      this.#open[last] = left;
      if (left > 0) return false;
      this.#open.pop();
    }
    return true;
  }
}

function readHead(
  bytes: Uint8Array,
  offset: number,
  length: number,
): { readonly major: number; readonly argument: number; readonly next: number } | undefined {
  const first = bytes[offset];
  if (first === undefined || offset >= length) return undefined;
  const major = first >> 5;
  const short = first & 31;
  if (short < 24) return { major, argument: short, next: offset + 1 };
  if (short > 27) throw new SyntaxError('an item of indefinite length');
  const width = 2 ** (short - 24);
  if (offset + 1 + width > length) return undefined;
  let argument = 0;
  for (let i = 0; i < width; i += 1) argument = argument * 256 + bytes[offset + 1 + i]!;
  return { major, argument, next: offset + 1 + width };
}
