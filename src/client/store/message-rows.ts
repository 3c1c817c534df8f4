import { fromUtf8, toUtf8 } from '../../wire/bytes.ts';
import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from './client-store.ts';
import { keys } from './keys.ts';
import { type LinePlace, parsePlace, placeText, rowAt } from './line-place.ts';
import { decodeLine } from './older-rows.ts';

export type MessageLine = HistoryLine & { readonly kind: 'message' };

/** A line of history and where it is in the store. */
export interface FoundMessage {
  readonly place: LinePlace;
  readonly line: MessageLine;
}

/** Where the message of an id stands among the lines. */
export function messageWrite(group: Uint8Array, messageId: string, ordinal: number): Write {
  return { key: keys.message(group, messageId), value: toUtf8(placeText({ ordinal })) };
}

/** The same among those that were taken over. */
export function olderMessageWrite(group: Uint8Array, messageId: string, position: number): Write {
  return { key: keys.message(group, messageId), value: toUtf8(placeText({ older: position })) };
}

/** The message of this id in a group, as it is now; `undefined` when it is not here. */
export async function findMessage(
  store: ClientStore,
  group: Uint8Array,
  messageId: string,
): Promise<FoundMessage | undefined> {
  const stored = await store.get(keys.message(group, messageId));
  if (stored === undefined) return undefined;
  const place = parsePlace(fromUtf8(stored) ?? '');
  const line = await messageAt(store, group, place);
  return line === undefined ? undefined : { place, line };
}

/** The message that stands there; `undefined` when none does. */
export async function messageAt(
  store: ClientStore,
  group: Uint8Array,
  place: LinePlace,
): Promise<MessageLine | undefined> {
  const value = await store.get(rowAt(group, place));
  const line = value === undefined ? undefined : decodeLine(value);
  return line?.kind === 'message' ? line : undefined;
}

/** The places of changes that came of a message which is not here. */
export async function awaitedPlaces(
  store: ClientStore,
  group: Uint8Array,
  messageId: string,
): Promise<readonly LinePlace[]> {
  const stored = await store.get(keys.awaited(group, messageId));
  return stored === undefined ? [] : (fromUtf8(stored) ?? '').split(' ').map(parsePlace);
}

/** Remembers them, so that the message gets them when it is taken over from another device. */
export function awaitedWrite(group: Uint8Array, messageId: string, places: readonly LinePlace[]): Write {
  return { key: keys.awaited(group, messageId), value: toUtf8(places.map(placeText).join(' ')) };
}

/** Characters of a message that stand in its replies. */
const QUOTE_CHARACTERS = 60;

/** Adds to replies what they reply to, as it is now: what was taken back is quoted no more. */
export function withQuotes(
  store: ClientStore,
  lines: readonly HistoryLine[],
  groupBytes: (line: HistoryLine) => Uint8Array | undefined,
): Promise<readonly HistoryLine[]> {
  const quoted = async (line: HistoryLine): Promise<HistoryLine> => {
    const group = line.kind === 'message' && line.inReplyTo !== undefined ? groupBytes(line) : undefined;
    if (line.kind !== 'message' || line.inReplyTo === undefined || group === undefined) return line;
    const found = await findMessage(store, group, line.inReplyTo);
    if (found === undefined) return line;
    const { sender, text } = found.line;
    const shown = [...text];
    const shortened = shown.length > QUOTE_CHARACTERS ? `${shown.slice(0, QUOTE_CHARACTERS).join('')}…` : text;
    return { ...line, quote: { name: sender.name, text: shortened } };
  };
  return lines.some((line) => line.kind === 'message' && line.inReplyTo !== undefined)
    ? Promise.all(lines.map(quoted))
    : Promise.resolve(lines);
}
