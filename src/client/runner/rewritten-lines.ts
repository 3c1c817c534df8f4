import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { toHexKey } from '../store/hex.ts';
import { rowAt } from '../store/line-place.ts';
import { type FoundMessage, findMessage, type MessageLine } from '../store/message-rows.ts';
import { lineValue } from '../store/older-rows.ts';

/** Lines in the store that are others once the next commit is made. */
export interface RewrittenLines {
  /** The message of this id as it will be; `undefined` when it is not in the store. */
  find(group: Uint8Array, messageId: string): Promise<FoundMessage | undefined>;
  set(group: Uint8Array, message: FoundMessage): void;
  /** The line of this id told of an earlier change than this one: what the message said then goes. */
  forget(change: MessageLine, group: Uint8Array, messageId: string): Promise<void>;
  writes(): readonly Write[];
}

export function createRewrittenLines(store: ClientStore): RewrittenLines {
  const rewritten = new Map<string, { readonly key: Uint8Array; readonly line: MessageLine }>();
  const find = async (group: Uint8Array, messageId: string): Promise<FoundMessage | undefined> => {
    const found = await findMessage(store, group, messageId);
    const line = found && rewritten.get(toHexKey(rowAt(group, found.place)))?.line;
    return found === undefined || line === undefined ? found : { ...found, line };
  };
  const set = (group: Uint8Array, { place, line }: FoundMessage): void => {
    const key = rowAt(group, place);
    rewritten.set(toHexKey(key), { key, line });
  };
  return {
    find,
    set,
    async forget(change, group, messageId) {
      const found = await find(group, messageId);
      if (found !== undefined) set(group, { ...found, line: withoutText(found.line, change) });
    },
    writes: () => [...rewritten.values()].map(({ key, line }) => ({ key, value: lineValue(line) })),
  };
}

/**
 * A line that told of a change, once a later `change` of the same sender came: without what the message said. Any other line stays as
 * it is.
 */
export function withoutText<Line extends HistoryLine>(told: Line, change: MessageLine): Line {
  if (told.kind !== 'message' || told.replaces === undefined || told.replaces !== change.replaces) return told;
  return told.sender.account === change.sender.account ? { ...told, text: '' } : told;
}
