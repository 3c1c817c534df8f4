import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { GroupEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { GroupTruth, Membership } from './group-truth.ts';

const GONE = /: ([\d,]+) entr(?:y|ies)\b.* no longer on the server/;
const UNREADABLE = /\(([\d,]+) before that cannot be read\)/;
const NEVER_CAME = /^([\d,]+) message\(s\) of .* before this one never came\.$/;
const CHANGED = /^Meanwhile, unseen here, members were changed: (?:added ([^;]+?))?(?:; )?(?:removed ([^;]+))?\.$/;
const TAKEN_OUT = 'was taken out of the group in the meantime';

/** Whether the line says that entries were no longer there when this device came for them. */
export function tellsGap(line: HistoryLine | undefined): boolean {
  return line?.kind === 'warning' && GONE.test(line.text);
}

/** What a device finds behind a gap, and can only count: texts that did not come, and members who changed meanwhile. */
export function followsGap(line: HistoryLine & { readonly kind: 'warning' }): boolean {
  return CHANGED.test(line.text) || NEVER_CAME.test(line.text);
}

/** Whether the last that somebody was told of this group is that the own device was taken out of it in what is no longer there. */
export function isToldOfEnd(lines: readonly HistoryLine[], group: GroupId): boolean {
  const told = lines.filter((line) => line.group === group);
  const end = told.findLastIndex(tellsEnd);
  return end >= 0 && !told.slice(end).some(({ kind }) => kind === 'joined');
}

function tellsEnd(line: HistoryLine): boolean {
  return line.kind === 'warning' && line.text.includes(TAKEN_OUT);
}

/**
 * Positions that somebody was told to have missed: between the lines before and behind each such warning, as many as it says.
 *
 * @param positions what the device should have shown and did not, ascending
 * @param firstKept from here on nothing was compacted
 * @returns those that no warning covers
 */
export function untold(
  shown: Shown,
  group: GroupId,
  positions: readonly number[],
  firstKept: number,
): readonly number[] {
  const ordered = inOrder(shown, group);
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

/**
 * Warnings of one device that say more than is so: of more entries than can be gone there, of messages that came, of changes that
 * were not, of those where nothing is gone before them, or of an own removal that is none.
 */
export function overtold(
  shown: Shown,
  truth: GroupTruth,
  { firstKept, wasCalled, isSilent, before: lost = [], isOfBlind = () => false }: Known,
): readonly string[] {
  const { device } = shown;
  const told = inOrder(shown, truth.id);
  const found: string[] = [];
  for (const [at, line] of told.entries()) {
    if (line.kind !== 'warning') continue;
    const before = Math.max(0, ...told.slice(0, at).map(({ position = 0 }) => position));
    const { position = Number.POSITIVE_INFINITY } = line;
    const missed = countIn(line.text, GONE);
    const unread = countIn(line.text, UNREADABLE);
    const isWrong =
      (tellsGap(line) && (missed >= firstKept - before || missed + unread >= position - before)) ||
      (NEVER_CAME.test(line.text) && !isMissed(line, told, truth, { firstKept, isSilent }) && !isOfBlind(line)) ||
      (CHANGED.test(line.text) &&
        !isChanged(line, told[at - 1], truth, told.slice(0, at - 1), wasCalled) &&
        !lost.some((had) => differBy(line.text, had, truth.rosterAt(line.position ?? 0), wasCalled))) ||
      (tellsEnd(line) && !isTakenOut(line, before, truth.memberships.get(device)));
    if (isWrong) found.push(line.text);
  }
  return found;
}

/**
 * Lines in the order of the log. What the device itself sent is shown as it comes by, also while the group waits to be joined again,
 * and is left out; what the other devices of its account sent is read like everything else.
 */
function inOrder({ lines, device }: Shown, group: GroupId): readonly HistoryLine[] {
  return lines.filter((line) => line.group === group && !(line.kind === 'message' && line.sender.device === device));
}

/** What one device shows. */
interface Shown {
  readonly lines: readonly HistoryLine[];
  readonly device: DeviceId;
}
type Warning = HistoryLine & { readonly kind: 'warning' };
/** Whether the account of a device ever had a name. */
type WasCalled = (device: DeviceId, name: string) => boolean;
interface Known {
  /** From here on nothing was compacted. */
  readonly firstKept: number;
  readonly wasCalled: WasCalled;
  /** Whether the line is of a message that came before what was asked for again. */
  readonly isOfBlind?: (line: Warning) => boolean;
  /** Rosters of the group before its log went back. */
  readonly before?: readonly ReadonlySet<DeviceId>[];
  /** Whether it is a message that nobody is shown. */
  readonly isSilent: (entry: GroupEntry) => boolean;
}

/** Whether a removal of the device stands behind what it had seen; where the line has a place, there. */
function isTakenOut({ position }: Warning, seen: number, memberships: readonly Membership[] = []): boolean {
  return memberships.some(({ to = 0 }) => (position === undefined ? to > seen : to === position));
}

/** Whether as many messages of the sender never came as the line before one of it says, each of them gone. */
function isMissed(
  { text, position = 0 }: Warning,
  told: readonly HistoryLine[],
  { entries }: GroupTruth,
  { firstKept, isSilent }: Pick<Known, 'firstKept' | 'isSilent'>,
): boolean {
  const heard = entries[position - 1]?.entry;
  if (heard?.kind !== 'message') return false;
  const others = entries.slice(0, position - 1).flatMap(({ entry }) => {
    const isOfOne = entry.kind === 'message' && entry.sender === heard.sender && entry.epoch === heard.epoch;
    return isOfOne ? [entry.position] : [];
  });
  const last = others.findLastIndex((other) => told.some((line) => line.kind === 'message' && line.position === other));
  const never = others.slice(last + 1);
  const count = countIn(text, NEVER_CAME);
  // nobody sees whether a message came that shows nothing
  const before = never.at(-count - 1);
  const isPossible = count === never.length || (before !== undefined && isSilent(entries[before - 1]!.entry));
  return isPossible && never.slice(never.length - count).every((other) => other < firstKept);
}

/** Whether members changed as the line says between what was seen before a gap and the place where the group was joined again. */
function isChanged(
  { text, position = 0 }: Warning,
  gap: HistoryLine | undefined,
  { rosterAt }: GroupTruth,
  earlier: readonly HistoryLine[],
  wasCalled: WasCalled,
): boolean {
  if (!tellsGap(gap) || gap?.position !== position) return false;
  const before = Math.max(0, ...earlier.map((line) => line.position ?? 0));
  return differBy(text, rosterAt(before), rosterAt(position), wasCalled);
}

/** Whether the line names those by whom two rosters differ. */
function differBy(text: string, had: ReadonlySet<DeviceId>, has: ReadonlySet<DeviceId>, wasCalled: WasCalled): boolean {
  const [, added = '', removed = ''] = CHANGED.exec(text) ?? [];
  const differences: [names: string, devices: DeviceId[]][] = [
    [added, [...has].filter((device) => !had.has(device))],
    [removed, [...had].filter((device) => !has.has(device))],
  ];
  // one person may have come with several devices
  return differences.every(([text, devices]) => {
    const names = text === '' ? [] : text.split(', ');
    return (
      names.every((name) => devices.some((device) => wasCalled(device, name))) &&
      devices.every((device) => names.some((name) => wasCalled(device, name)))
    );
  });
}

function countIn(text: string, form: RegExp): number {
  return Number(form.exec(text)?.[1]?.replaceAll(',', '') ?? 0);
}
