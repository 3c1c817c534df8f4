import { fromUtf8, toUtf8 } from '../../wire/bytes.ts';
import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from './client-store.ts';
import { decodeLine } from './history-rows.ts';
import { keys } from './keys.ts';

export type MessageLine = HistoryLine & { readonly kind: 'message' };

/** A line of history and its number in the store. */
export interface FoundMessage {
  readonly ordinal: number;
  readonly line: MessageLine;
}

/** Where the message of an id stands among the lines. */
export function messageWrite(group: Uint8Array, messageId: string, ordinal: number): Write {
  return { key: keys.message(group, messageId), value: toUtf8(String(ordinal)) };
}

/** The message of this id in a group, as it is now; `undefined` when it is not here. */
export async function findMessage(
  store: ClientStore,
  group: Uint8Array,
  messageId: string,
): Promise<FoundMessage | undefined> {
  const place = await store.get(keys.message(group, messageId));
  if (place === undefined) return undefined;
  const ordinal = Number(fromUtf8(place));
  const value = await store.get(keys.line(ordinal));
  const line = value === undefined ? undefined : decodeLine(value);
  return line?.kind === 'message' ? { ordinal, line } : undefined;
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
