import type { HistoryLine } from '../chat-client.ts';
import type { ClientStore, Write } from '../store/client-store.ts';
import { lineWrites } from '../store/history-rows.ts';
import { keys } from '../store/keys.ts';
import { type LinePlace, placeText, rowAt } from '../store/line-place.ts';
import {
  awaitedChanges,
  awaitedWrite,
  findMessage,
  type MessageLine,
  messageAt,
  messageWrite,
} from '../store/message-rows.ts';
import { lineValue } from '../store/older-rows.ts';

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
  const rewritten = new Map<string, { readonly key: Uint8Array; readonly line: HistoryLine }>();
  const awaited = new Map<string, { readonly group: Uint8Array; readonly id: string; changes: LinePlace[] }>();
  const fresh = new Map<string, NewLine>();
  const fileKeys: Write[] = [];
  const keyOf = (line: HistoryLine, messageId: string): string => `${line.group}/${messageId}`;
  /** The line of this id told of an earlier change: what the message said then goes. */
  const forget = async (change: MessageLine, group: Uint8Array, id: string): Promise<void> => {
    const inBatch = fresh.get(keyOf(change, id));
    if (inBatch !== undefined) {
      inBatch.notice.line = withoutText(inBatch.notice.line, change);
      return;
    }
    const found = await findMessage(store, group, id);
    if (found === undefined) return;
    const at = `${change.group}/${placeText(found.place)}`;
    const line = withoutText(rewritten.get(at)?.line ?? found.line, change);
    rewritten.set(at, { key: rowAt(group, found.place), line });
  };
  /** The newest of these changes that this account made. */
  const lastOf = async (
    account: string,
    group: Uint8Array,
    changes: readonly LinePlace[],
  ): Promise<MessageLine | undefined> => {
    for (const place of changes.toReversed()) {
      const inBatch = 'ordinal' in place && lines.find(({ ordinal }) => ordinal === place.ordinal)?.notice.line;
      const line = inBatch || (await messageAt(store, group, place));
      if (line?.kind === 'message' && line.sender.account === account) return line;
    }
    return undefined;
  };
  for (const each of lines) {
    const { line } = each.notice;
    if (line.kind !== 'message') continue;
    if (line.replaces !== undefined) {
      const inBatch = fresh.get(keyOf(line, line.replaces));
      const found =
        inBatch === undefined
          ? await findMessage(store, each.group, line.replaces)
          : { place: { ordinal: inBatch.ordinal }, line: inBatch.notice.line };
      const at = found === undefined ? '' : `${line.group}/${placeText(found.place)}`;
      const target = found === undefined ? undefined : (rewritten.get(at)?.line ?? found.line);
      if (found !== undefined && target?.kind === 'message') {
        const changed = replaced(target, line);
        each.notice.line = changed.marker;
        if (changed.target?.deleted === true && target.file !== undefined && target.position !== undefined) {
          // the server may keep the bytes for a while; what opens them goes now
          fileKeys.push({ key: keys.attachment(each.group, target.position), value: undefined });
        }
        if (changed.target !== undefined && inBatch !== undefined) inBatch.notice.line = changed.target;
        else if (changed.target !== undefined) {
          rewritten.set(at, { key: rowAt(each.group, found.place), line: changed.target });
        }
        if (changed.target !== undefined && target.changedBy !== undefined) {
          await forget(line, each.group, target.changedBy);
        }
      }
      if (found === undefined) {
        const id = keyOf(line, line.replaces);
        const changes = awaited.get(id)?.changes ?? [...(await awaitedChanges(store, each.group, line.replaces))];
        const before = await lastOf(line.sender.account, each.group, changes);
        if (before?.messageId !== undefined) await forget(line, each.group, before.messageId);
        awaited.set(id, { group: each.group, id: line.replaces, changes: [...changes, { ordinal: each.ordinal }] });
      }
    }
    const { line: now } = each.notice;
    if (now.kind === 'message' && now.messageId !== undefined) fresh.set(keyOf(now, now.messageId), each);
  }
  return [
    ...fileKeys,
    ...[...rewritten.values()].map(({ key, line }) => ({ key, value: lineValue(line) })),
    ...[...awaited.values()].map(({ group, id, changes }) => awaitedWrite(group, id, changes)),
    ...lines.flatMap(({ ordinal, group, notice: { line } }) => [
      ...lineWrites(line, group, ordinal),
      ...(line.kind === 'message' && line.messageId !== undefined
        ? [messageWrite(group, line.messageId, ordinal)]
        : []),
    ]),
  ];
}

/**
 * A line that told of a change, once a later `change` of the same sender came: without what the message said. Any other line stays as
 * it is.
 */
export function withoutText<Line extends HistoryLine>(told: Line, change: MessageLine): Line {
  if (told.kind !== 'message' || told.replaces === undefined || told.replaces !== change.replaces) return told;
  return told.sender.account === change.sender.account ? { ...told, text: '' } : told;
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
  const { file, changedBy: _before, ...rest } = target;
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
