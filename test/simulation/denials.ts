import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { GroupId } from '../../src/wire/ids.ts';

/** What was typed, and where. */
interface Said {
  readonly text: string;
  readonly group: GroupId;
}

/** Where among the lines a device says that this did not get through, or that it is not known. */
export function denialsOf(lines: readonly HistoryLine[], said: Said): readonly number[] {
  return lines.flatMap((line, at) => (isDenialOf(line, said) ? [at] : []));
}

/** Whether the line says it of this; of messages that were taken back in one group all lines say the same. */
export function isDenialOf(line: HistoryLine, { text, group }: Said): boolean {
  if (line.kind !== 'warning' || line.group !== group) return false;
  return line.text.endsWith(`: ${text === '' ? 'that a message is taken back' : text}`);
}

/** Of what is in no log, what no line says so of: each needs one of its own. */
export function undenied<T extends Said>(lines: readonly HistoryLine[], lost: readonly T[]): readonly T[] {
  return lost.filter((one, i) => {
    const alike = lost.slice(0, i + 1).filter(({ text, group }) => text === one.text && group === one.group);
    return denialsOf(lines, one).length < alike.length;
  });
}
