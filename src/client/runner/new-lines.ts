import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { lineWrites } from '../store/history-rows.ts';
import { keys } from '../store/keys.ts';
import { awaitedWrite, type FoundMessage, type MessageLine, messageWrite } from '../store/message-rows.ts';
import { type AwaitedChange, readAwaited, withChange } from './awaited-changes.ts';
import { createRewrittenLines, withoutText } from './rewritten-lines.ts';

/** A line on its way into the store, and into the notice that tells of it. */
export interface NewLine {
  readonly ordinal: number;
  readonly group: Uint8Array;
  readonly notice: { line: HistoryLine };
}

/**
 * The rows of new lines. A message that takes the place of an earlier one of its sender changes that line too, and the line that told
 * of the change before, so that the history has the latest form alone: what was taken back is gone from it. Nobody else's messages
 * can be changed: such a line becomes a warning. What is changed but not here, from before this device joined, say, stays a line like
 * any other, and is remembered in case the message is taken over from another device later.
 */
export async function newLineWrites(store: ClientStore, lines: readonly NewLine[]): Promise<readonly Write[]> {
  const rewritten = createRewrittenLines(store);
  const awaited = new Map<string, { readonly write: Write; readonly changes: readonly AwaitedChange[] }>();
  const fresh = new Map<string, NewLine>();
  const fileKeys: Write[] = [];
  const keyOf = (line: HistoryLine, messageId: string): string => `${line.group}/${messageId}`;
  const forget = async (change: MessageLine, group: Uint8Array, id: string): Promise<void> => {
    const inBatch = fresh.get(keyOf(change, id));
    if (inBatch === undefined) return await rewritten.forget(change, group, id);
    inBatch.notice.line = withoutText(inBatch.notice.line, change);
  };
  /** The message that is changed is here. */
  const change = async (each: NewLine, line: MessageLine, target: MessageLine, found: FoundMessage | undefined) => {
    const changed = replaced(target, line);
    each.notice.line = changed.marker;
    if (changed.target?.deleted === true && target.file !== undefined && target.position !== undefined) {
      // the server may keep the bytes for a while; what opens them goes now
      fileKeys.push({ key: keys.attachment(each.group, target.position), value: undefined });
    }
    if (changed.target === undefined) return;
    if (found !== undefined) rewritten.set(each.group, { ...found, line: changed.target });
    if (target.changedBy !== undefined) await forget(line, each.group, target.changedBy);
    return changed.target;
  };
  const remember = async (each: NewLine, line: MessageLine, id: string): Promise<void> => {
    const { group, ordinal } = each;
    const known = awaited.get(keyOf(line, id))?.changes ?? (await readAwaited(store, group, id));
    const { kept, outdated, line: now } = withChange(known, { place: { ordinal }, line });
    each.notice.line = now;
    for (const { line: before } of outdated) {
      if (before.messageId !== undefined) await forget(line, group, before.messageId);
    }
    const places = kept.map(({ place }) => place);
    awaited.set(keyOf(line, id), { write: awaitedWrite(group, id, places), changes: kept });
  };
  for (const each of lines) {
    const { line } = each.notice;
    if (line.kind !== 'message') continue;
    if (line.replaces !== undefined) {
      const inBatch = fresh.get(keyOf(line, line.replaces));
      const found = inBatch === undefined ? await rewritten.find(each.group, line.replaces) : undefined;
      const target = inBatch?.notice.line ?? found?.line;
      if (target === undefined) await remember(each, line, line.replaces);
      else if (target.kind === 'message') {
        const now = await change(each, line, target, found);
        if (now !== undefined && inBatch !== undefined) inBatch.notice.line = now;
      }
    }
    const { line: now } = each.notice;
    if (now.kind === 'message' && now.messageId !== undefined) fresh.set(keyOf(now, now.messageId), each);
  }
  return [
    ...fileKeys,
    ...rewritten.writes(),
    ...[...awaited.values()].map(({ write }) => write),
    ...lines.flatMap(({ ordinal, group, notice: { line } }) => [
      ...lineWrites(line, group, ordinal),
      ...(line.kind === 'message' && line.messageId !== undefined
        ? [messageWrite(group, line.messageId, ordinal)]
        : []),
    ]),
  ];
}

/** `target`: the earlier message from now on. `marker`: the line that tells of it. */
export function replaced(target: MessageLine, line: MessageLine): { target?: MessageLine; marker: HistoryLine } {
  if (target.sender.account !== line.sender.account) {
    const { cursor, group, groupName, time, position } = line;
    const place = {
      ...{ group, groupName, time },
      ...(cursor === undefined ? {} : { cursor }),
      ...(position === undefined ? {} : { position }),
    };
    const text = `${line.sender.name} tried to change a message of ${target.sender.name}: it stays as it was`;
    return { marker: { ...place, kind: 'warning', text } };
  }
  // what was taken back stays so, whatever comes later
  if (target.deleted === true) return { marker: { ...line, text: '', deleted: true } };
  // of what is taken back nobody needs to know that it had been edited, and a device that joined in between does not
  const { file, changedBy: _before, edited: _edited, ...rest } = target;
  if (line.deleted === true) return { target: { ...rest, text: '', deleted: true }, marker: line };
  const at = {
    ...(line.position === undefined ? {} : { changedAt: line.position }),
    ...(line.messageId === undefined ? {} : { changedBy: line.messageId }),
  };
  // one that was packed by another device may come after a newer one
  if ((target.changedAt ?? 0) > (line.position ?? Number.POSITIVE_INFINITY)) {
    return { marker: withoutText(line, line) };
  }
  const text = { text: line.text, edited: true, ...at } as const;
  return { target: { ...rest, ...(file === undefined ? {} : { file }), ...text }, marker: line };
}
