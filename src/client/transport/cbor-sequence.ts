import { concatBytes } from '../../wire/bytes.ts';
import { decodeCbor } from '../../wire/cbor.ts';

/** Deeper than any item of this protocol; the scanner recurses. */
const DEPTH_MAX = 16;

/**
 * Splits a byte stream into the CBOR items it is made of (RFC 8742) and decodes them.
 *
 * @throws SyntaxError for what is no CBOR, and for an item longer than `maxBytes`
 */
export async function* readCborSequence(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<unknown, void, undefined> {
  let buffer = new Uint8Array(0);
  for await (const chunk of chunks) {
    buffer = buffer.length === 0 ? new Uint8Array(chunk) : new Uint8Array(concatBytes(buffer, chunk));
    let offset = 0;
    for (;;) {
      const end = itemEnd(buffer, offset, 0);
      if (end === undefined) break;
      yield decodeCbor(buffer.subarray(offset, end));
      offset = end;
    }
    buffer = buffer.slice(offset);
    if (buffer.length > maxBytes) throw new SyntaxError(`an item has more than ${maxBytes} bytes`);
  }
}

/** Where the item that starts at `offset` ends; `undefined` when more bytes are needed to tell or to hold it. */
export function itemEnd(bytes: Uint8Array, offset: number, depth: number): number | undefined {
  if (depth > DEPTH_MAX) throw new SyntaxError('an item is nested too deeply');
  const head = readHead(bytes, offset);
  if (head === undefined) return undefined;
  const { major, argument, next } = head;
  switch (major) {
    case 2:
    case 3:
      return next + argument <= bytes.length ? next + argument : undefined;
    case 4:
    case 5: {
      let end: number | undefined = next;
      for (let left = major === 5 ? argument * 2 : argument; left > 0; left -= 1) {
        end = itemEnd(bytes, end, depth + 1);
        if (end === undefined) return undefined;
      }
      return end;
    }
    case 6:
      return itemEnd(bytes, next, depth + 1);
    default:
      return next;
  }
}

function readHead(
  bytes: Uint8Array,
  offset: number,
): { readonly major: number; readonly argument: number; readonly next: number } | undefined {
  const first = bytes[offset];
  if (first === undefined) return undefined;
  const major = first >> 5;
  const short = first & 31;
  if (short < 24) return { major, argument: short, next: offset + 1 };
  if (short > 27) throw new SyntaxError('an item of indefinite length');
  const width = 2 ** (short - 24);
  if (offset + 1 + width > bytes.length) return undefined;
  let argument = 0;
  for (let i = 0; i < width; i += 1) argument = argument * 256 + bytes[offset + 1 + i]!;
  return { major, argument, next: offset + 1 + width };
}
