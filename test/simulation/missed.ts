import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { GroupTruth } from './group-truth.ts';

const GONE = /: ([\d,]+) entr(?:y|ies)\b.* no longer on the server/;
const UNREADABLE = /\(([\d,]+) before that cannot be read\)/;
const TAKEN_OUT = 'was taken out of the group in the meantime';

/** Whether the line says that entries were no longer there when this device came for them. */
export function tellsGap(line: HistoryLine | undefined): boolean {
  return line?.kind === 'warning' && GONE.test(line.text);
}

/** What a device finds behind a gap, and can only count: texts that did not come, and members who changed meanwhile. */
export function followsGap(line: HistoryLine & { readonly kind: 'warning' }): boolean {
  return line.text.startsWith('Meanwhile, unseen here,') || line.text.endsWith('before this one never came.');
}

/**
 * A message that is gone gets its position without a receipt when it is sent again (ADR 19). A client that has not come to the
 * gap by then holds that against the server.
 */
export function lacksReceiptOfGone(line: HistoryLine & { readonly kind: 'warning' }, firstKept: number): boolean {
  const position = /receipt for entry (\d+) is worth nothing: there is none$/.exec(line.text)?.[1];
  return position !== undefined && Number(position) < firstKept;
}

/** Whether somebody was told of this group that the own device was taken out of it in what is no longer there. */
export function isToldOfEnd(lines: readonly HistoryLine[], group: GroupId): boolean {
  return lines.some(
    (line) => line.group === group && tellsGap(line) && 'text' in line && line.text.includes(TAKEN_OUT),
  );
}

/**
 * Positions that somebody was told to have missed: between the lines before and behind each such warning, as many as it says.
 *
 * @param positions what the device should have shown and did not, ascending
 * @param firstKept from here on nothing was compacted
 * @returns those that no warning covers
 */
export function untold(
  lines: readonly HistoryLine[],
  group: GroupId,
  positions: readonly number[],
  firstKept: number,
): readonly number[] {
  // own messages are shown as they come by, also while the group waits to be joined again
  const ordered = lines.filter((line) => line.group === group && !(line.kind === 'message' && line.own));
  const room = new Map<number, number>();
  return positions.filter((position) => {
    const before = ordered.findLastIndex((line) => (line.position ?? Number.POSITIVE_INFINITY) < position);
    const behind = ordered.findIndex((line) => (line.position ?? 0) > position);
    const last = behind < 0 ? ordered.length - 1 : behind;
    for (let at = before + 1; at <= last; at += 1) {
      const line = ordered[at]!;
      if (!tellsGap(line) || line.kind !== 'warning') continue;
      if (line.position === undefined && position >= firstKept) continue;
      const left = room.get(at) ?? countIn(line.text, GONE) + countIn(line.text, UNREADABLE);
      room.set(at, left - 1);
      if (left > 0) return false;
    }
    return true;
  });
}

/** An own message that the server had taken, and whose entry was gone before it came. */
export function isLostOwn(
  truth: GroupTruth | undefined,
  device: DeviceId,
  line: HistoryLine & { readonly kind: 'message' },
  firstKept = 1,
): boolean {
  const position = truth?.positionOf(device, line.id);
  return line.own && position !== undefined && position < firstKept;
}

function countIn(text: string, form: RegExp): number {
  return Number(form.exec(text)?.[1]?.replaceAll(',', '') ?? 0);
}
