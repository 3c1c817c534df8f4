import { type DecodeOptions, decodeFirst } from 'cborg';
import { concatBytes, toHex } from '../../src/wire/bytes.ts';
import { cursorFromBlock } from '../../src/wire/cursor.ts';
import { asStreamItem, type StreamItem } from '../../src/wire/page.ts';

const STRICT: DecodeOptions = { strict: true, allowIndefinite: false };

/** The items of an `application/cbor-seq` body as they come. */
export async function* readItems(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamItem> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of body) {
    rest = concatBytes(rest, chunk);
    for (;;) {
      const decoded = firstItem(rest);
      if (decoded === undefined) break;
      yield asStreamItem(decoded.value);
      rest = decoded.rest;
    }
  }
  if (rest.length > 0) throw new Error(`the stream broke off within an item of ${rest.length} bytes`);
}

function firstItem(bytes: Uint8Array): { value: unknown; rest: Uint8Array } | undefined {
  if (bytes.length === 0) return undefined;
  try {
    const [value, rest] = decodeFirst(bytes, STRICT) as [unknown, Uint8Array];
    return { value, rest };
  } catch {
    return undefined; // the item goes on in a later chunk
  }
}

export interface Followed {
  /** Hexadecimal of each entry, in the order they came. */
  readonly entries: string[];
  readonly cursors: string[];
  caughtUp: number;
  heartbeats: number;
  closing?: Extract<StreamItem, { type: 'closing' }>;
}

/** Follows a stream until `isDone` says so or it ends. */
export async function follow(
  body: ReadableStream<Uint8Array>,
  isDone: (followed: Followed) => boolean,
): Promise<Followed> {
  const followed: Followed = { entries: [], cursors: [], caughtUp: 0, heartbeats: 0 };
  for await (const item of readItems(body)) {
    if (item.type === 'page') {
      followed.entries.push(...item.entries.map(toHex));
      followed.cursors.push(...item.entries.map((_, i) => cursorFromBlock(item.cursors, i)));
    } else if (item.type === 'caught-up') followed.caughtUp += 1;
    else if (item.type === 'heartbeat') followed.heartbeats += 1;
    else followed.closing = item;
    if (isDone(followed)) break;
  }
  return followed;
}
