import { createHash } from 'node:crypto';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';

/** First item of every export; `docs/EXPORT-FORMAT.md` describes the whole file. */
export type ExportHeader = LogHeader | GroupHeader;

interface HeaderBase {
  readonly format: typeof FORMAT;
  readonly v: 1;
  /** When it was written, milliseconds since 1970. */
  readonly time: number;
  /** The incarnation the log was in. */
  readonly incarnation: string;
}

/** The whole log: events, then the heads of the groups. */
export interface LogHeader extends HeaderBase {
  readonly kind: 'log';
  readonly domain: string;
  /** Sequence of the last event; the first one is 1. */
  readonly last: number;
  /** The heads are those after the event with this sequence; 0: no heads are in the file. */
  readonly headsAt: number;
}

/** The entries of one group, each with the head after it. */
export interface GroupHeader extends HeaderBase {
  readonly kind: 'group';
  readonly group: Uint8Array;
  /** Position of the last entry; the first one is 1, or comes after `after`. */
  readonly last: number;
  /** Of a compacted group: the last entry that was not kept, the head after it, and the epoch of the entry that follows. */
  readonly after?: { readonly position: number; readonly head: Uint8Array; readonly epoch: number };
}

/** Last item of every export. */
export interface ExportTrailer {
  /** Items between header and trailer. */
  readonly count: number;
  /** SHA-256 over every byte before the trailer. */
  readonly sha256: Uint8Array;
}

/** `[sequence, stored at, subject, id, event]` */
export type EventItem = readonly [
  sequence: number,
  storedAt: number,
  subject: string,
  eventId: string,
  bytes: Uint8Array,
];
/** `[group, position, head]` */
export type HeadItem = readonly [group: Uint8Array, position: number, head: Uint8Array];
/** `[position, head after it, entry]` */
export type EntryItem = readonly [position: number, head: Uint8Array, bytes: Uint8Array];

export const FORMAT = 'mlsd-export';
/** Longer than the largest event the log takes, with all that stands around it. */
export const ITEM_MAX_BYTES = 16 * 1024 * 1024;

/** Writes the items of a file, and its end. */
export interface ExportWriter {
  header(header: ExportHeader): Uint8Array;
  item(item: EventItem | HeadItem | EntryItem): Uint8Array;
  trailer(): Uint8Array;
}

export function createExportWriter(): ExportWriter {
  const sha256 = createHash('sha256');
  let count = 0;
  const hashed = (value: unknown): Uint8Array => {
    const bytes = encodeCbor(value);
    sha256.update(bytes);
    return bytes;
  };
  return {
    header: hashed,
    item(item) {
      count += 1;
      return hashed(item);
    },
    trailer: () => encodeCbor({ count, sha256: new Uint8Array(sha256.digest()) }),
  };
}

/** One decoded item of a file. */
export type ExportItem =
  | { readonly kind: 'header'; readonly header: ExportHeader }
  | { readonly kind: 'event'; readonly event: EventItem }
  | { readonly kind: 'head'; readonly head: HeadItem }
  | { readonly kind: 'entry'; readonly entry: EntryItem }
  | { readonly kind: 'trailer'; readonly trailer: ExportTrailer };

/** Reads an item of ours; `undefined` for any other bytes. */
export function readItem(bytes: Uint8Array): ExportItem | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined;
  }
  if (Array.isArray(value)) return readArray(value);
  if (isHeader(value)) return { kind: 'header', header: value };
  return isTrailer(value) ? { kind: 'trailer', trailer: value } : undefined;
}

function readArray(value: readonly unknown[]): ExportItem | undefined {
  const [first, second, third, fourth, fifth] = value;
  if (value.length === 5) {
    const isEvent =
      isNumber(first) && isNumber(second) && typeof third === 'string' && typeof fourth === 'string' && isBytes(fifth);
    return isEvent ? { kind: 'event', event: value as unknown as EventItem } : undefined;
  }
  if (value.length !== 3 || !isBytes(third)) return undefined;
  if (isBytes(first) && isNumber(second)) return { kind: 'head', head: [first, second, third] };
  return isNumber(first) && isBytes(second) ? { kind: 'entry', entry: [first, second, third] } : undefined;
}

function isHeader(value: unknown): value is ExportHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { format, v, kind, time, incarnation, last, domain, headsAt, group, after } = value as Record<string, unknown>;
  const isOurs = format === FORMAT && v === 1 && isNumber(time) && typeof incarnation === 'string' && isNumber(last);
  if (!isOurs) return false;
  if (kind === 'log') return typeof domain === 'string' && isNumber(headsAt);
  return kind === 'group' && isBytes(group) && (after === undefined || isAfter(after));
}

function isAfter(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { position, head, epoch } = value as Record<string, unknown>;
  return isNumber(position) && isBytes(head) && isNumber(epoch);
}

function isTrailer(value: unknown): value is ExportTrailer {
  if (typeof value !== 'object' || value === null) return false;
  const { count, sha256 } = value as Record<string, unknown>;
  return isNumber(count) && isBytes(sha256);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}
