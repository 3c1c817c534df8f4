import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { lineWrites } from '../store/history-rows.ts';
import { findMessage, type MessageLine, messageWrite } from '../store/message-rows.ts';

/** A line on its way into the store, and into the notice that tells of it. */
export interface NewLine {
  readonly ordinal: number;
  readonly group: Uint8Array;
  readonly notice: { line: HistoryLine };
}

/**
 * The rows of new lines. A message that takes the place of an earlier one of its sender changes that line too, so that the history
 * has the latest form alone: what was taken back is gone from it. Nobody else's messages can be changed: such a line becomes a
 * warning. What is changed but not here, from before this device joined, say, stays a line like any other.
 */
export async function newLineWrites(store: ClientStore, lines: readonly NewLine[]): Promise<readonly Write[]> {
  const rewritten = new Map<number, { readonly group: Uint8Array; line: HistoryLine }>();
  const fresh = new Map<string, NewLine>();
  const keyOf = (line: HistoryLine, messageId: string): string => `${line.group}/${messageId}`;
  for (const each of lines) {
    const { line } = each.notice;
    if (line.kind !== 'message') continue;
    if (line.replaces !== undefined) {
      const inBatch = fresh.get(keyOf(line, line.replaces));
      const found =
        inBatch === undefined
          ? await findMessage(store, each.group, line.replaces)
          : { ordinal: inBatch.ordinal, line: inBatch.notice.line };
      const target = found === undefined ? undefined : (rewritten.get(found.ordinal)?.line ?? found.line);
      if (found !== undefined && target?.kind === 'message') {
        const changed = replaced(target, line);
        each.notice.line = changed.marker;
        if (changed.target !== undefined && inBatch !== undefined) inBatch.notice.line = changed.target;
        else if (changed.target !== undefined) {
          rewritten.set(found.ordinal, { group: each.group, line: changed.target });
        }
      }
    }
    const { line: now } = each.notice;
    if (now.kind === 'message' && now.messageId !== undefined) fresh.set(keyOf(now, now.messageId), each);
  }
  return [
    ...[...rewritten].flatMap(([ordinal, { group, line }]) => lineWrites(line, group, ordinal)),
    ...lines.flatMap(({ ordinal, group, notice: { line } }) => [
      ...lineWrites(line, group, ordinal),
      ...(line.kind === 'message' && line.messageId !== undefined
        ? [messageWrite(group, line.messageId, ordinal)]
        : []),
    ]),
  ];
}

/** `target`: the earlier message from now on. `marker`: the line that tells of it. */
function replaced(target: MessageLine, line: MessageLine): { target?: MessageLine; marker: HistoryLine } {
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
  const { file, ...rest } = target;
  if (line.deleted === true) return { target: { ...rest, text: '', deleted: true }, marker: line };
  return { target: { ...rest, ...(file === undefined ? {} : { file }), text: line.text, edited: true }, marker: line };
}
