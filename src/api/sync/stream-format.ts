import type { FramedPage } from '../../projections/read-model.ts';
import { toUtf8 } from '../../wire/bytes.ts';
import { encodePageParts, encodeStreamItem, type StreamItem } from '../../wire/page.ts';
import { MEDIA_TYPES, type StreamRepresentation } from '../http/negotiate.ts';
import { pageToJson } from './page-json.ts';

/** How the items of a live stream are written. Parts are written one after the other, without joining. */
export interface StreamFormat {
  readonly type: string;
  page(page: FramedPage): readonly Uint8Array[];
  item(item: Exclude<StreamItem, { type: 'page' }>): readonly Uint8Array[];
}

/** Items one after the other (RFC 8742). */
const CBOR_SEQUENCE: StreamFormat = {
  type: MEDIA_TYPES['cbor-seq'],
  page: (page) => encodePageParts(page, page.framed, true),
  item: (item) => [encodeStreamItem(item)],
};

/** Server-sent events: the item's type is the event's name, and the cursor to resume from its id. */
const EVENT_STREAM: StreamFormat = {
  type: MEDIA_TYPES['event-stream'],
  page: (page) => [sse('page', pageToJson(page), page.cursor)],
  item: ({ type, ...data }) => [sse(type, data, 'cursor' in data ? data.cursor : undefined)],
};

export function streamFormat(representation: StreamRepresentation): StreamFormat {
  return representation === 'cbor-seq' ? CBOR_SEQUENCE : EVENT_STREAM;
}

function sse(event: string, data: unknown, id?: string): Uint8Array {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  return toUtf8(`event: ${event}\n${idLine}data: ${JSON.stringify(data)}\n\n`);
}
