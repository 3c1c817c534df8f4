import type { HistoryLine } from '../../src/client/chat-client.ts';
import { equalBytes } from '../../src/wire/bytes.ts';
import type { GroupEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Branch } from './branches.ts';
import type { ClientView } from './client-view.ts';
import type { GroupTruth } from './group-truth.ts';
import { followsGap } from './missed.ts';

type Warning = HistoryLine & { readonly kind: 'warning' };
/** How often the log had gone back, as far as its sender could know, when a message left first. */
type LeftIn = (device: DeviceId, id: string) => number | undefined;

/** What a device says when its group's history is no longer the log's. */
const WENT_BACK = /^The server's log went back: entry (\d+), which was read here, is no longer in it/;
const DIFFERS = /^The server's history of this group differs from what came here \(at entry (\d+)\)/;
const SIGNED_ANOTHER = /^The server has signed another history of #\S+ than it shows \(entry (\d+)\)/;
const SHOWN_ANOTHER = /were shown different histories of #\S+ \(entry (\d+)\)/;

const NEVER_CAME = /^[\d,]+ message\(s\) of .* before this one never came\.$/;
const UNREADABLE = /^A message could not be read /;
const SAID_TO_STAND = /^The server said that a (?:message|commit) of yours is entry (\d+) of #/;
const NOT_READ = /^([\d,]+) entries before this could not be read here\.$/;

/** Whether a group is out of service because its log went back. */
export function tellsGoingBack(reason: string | undefined): boolean {
  return reason !== undefined && (WENT_BACK.test(reason) || DIFFERS.test(reason));
}

/** Whether the line says that it is, and how the group is joined again. */
export function asksToRejoin(line: HistoryLine): boolean {
  return line.kind === 'warning' && tellsGoingBack(line.text) && line.text.includes('/rejoin joins the group again');
}

/** Whether the line tells of an entry that another one stands in the place of, or none, since the log went back. */
export function isToldOfGoingBack(branches: readonly Branch[], line: HistoryLine): boolean {
  if (line.kind !== 'warning') return false;
  const { text, group } = line;
  const named = [WENT_BACK, DIFFERS, SIGNED_ANOTHER, SHOWN_ANOTHER].flatMap((form) => form.exec(text)?.[1] ?? []);
  return named.some((entry) => isLost(branches, group, Number(entry)));
}

/** What a device that is in a group again says of what it did not read meanwhile. */
export function tellsOfAbsence(branches: readonly Branch[], line: Warning): boolean {
  const { text, group, position = 0 } = line;
  const count = Number(NOT_READ.exec(text)?.[1]?.replaceAll(',', '') ?? 0);
  const first = firstLost(branches, group);
  return count > 0 ? position - count > first : followsGap(line);
}

/**
 * Whether the message at a place left before its sender could hear that the log went back, and stands in what came since: the log takes
 * it by the number of its epoch, which may be another one there, and may have it before what its sender asks for again.
 */
export function isBlindAt(
  branches: readonly Branch[],
  group: GroupId,
  position: number,
  leftIn: LeftIn,
): { readonly entry: GroupEntry & { readonly kind: 'message' }; readonly lastShared: number } | undefined {
  const entry = branches.at(-1)?.groups.get(group)?.entries[position - 1]?.entry;
  if (entry?.kind !== 'message') return undefined;
  const left = leftIn(entry.sender, entry.id);
  const placed = branches.findLastIndex(({ begun }, at) => at > 0 && position > (begun.get(group) ?? 0));
  if (left === undefined || left >= placed) return undefined;
  const since = branches.slice(left + 1, placed + 1);
  const epochs = since.map(({ groups, begun }) => groups.get(group)?.until(begun.get(group) ?? 0).epoch ?? 0);
  return { entry, lastShared: Math.min(...epochs) };
}

/** Whether a device says what it has to of such a message: that it cannot be read, or that others before it did not come. */
export function isOfBlind(branches: readonly Branch[], line: Warning, leftIn: LeftIn): boolean {
  const found = isBlindAt(branches, line.group, line.position ?? 0, leftIn);
  return found !== undefined && (NEVER_CAME.test(line.text) || isUnreadable(line, found));
}

/** Whether it says that the message cannot be read, which was encrypted in an epoch that the log lost. */
export function isUnreadableOfBlind(branches: readonly Branch[], line: Warning, leftIn: LeftIn): boolean {
  const found = isBlindAt(branches, line.group, line.position ?? 0, leftIn);
  return found !== undefined && isUnreadable(line, found);
}

function isUnreadable({ text }: Warning, { entry, lastShared }: NonNullable<ReturnType<typeof isBlindAt>>): boolean {
  return UNREADABLE.test(text) && entry.epoch > lastShared;
}

/** Whether a device doubts its server for what it sent before it could hear that the log went back. */
export function isDoubtOfBlind(
  branches: readonly Branch[],
  { text, group }: Warning,
  device: DeviceId,
  leftIn: LeftIn,
): boolean {
  const position = Number(SAID_TO_STAND.exec(text)?.[1] ?? 0);
  return branches.slice(1).some(({ groups }, before) => {
    const entry = groups.get(group)?.entries[position - 1]?.entry;
    return entry?.sender === device && (leftIn(device, entry.id) ?? Number.POSITIVE_INFINITY) <= before;
  });
}

/** Whether a text was refused by a log that does not have its sender in the group, before that could hear why. */
export function isRefusedMeanwhile(branches: readonly Branch[], { text, group }: Warning, device: DeviceId): boolean {
  return (
    text.startsWith('Not sent (') &&
    branches.slice(1).some(({ groups, begun }, before) => {
      const wasThere = branches[before]?.groups.get(group)?.memberships.has(device) === true;
      const kept = begun.get(group);
      return wasThere && (kept === undefined || groups.get(group)?.until(kept).members.has(device) !== true);
    })
  );
}

/** Last position of a group that every branch holds. */
function firstLost(branches: readonly Branch[], group: GroupId): number {
  return Math.min(...branches.slice(1).map(({ begun }) => begun.get(group) ?? 0));
}

/** Lines of a group as far as they are of what the log holds now. */
export function linesNow(lines: readonly HistoryLine[], { id, entries }: GroupTruth): readonly HistoryLine[] {
  const told = lines.findLastIndex((line) => line.group === id && asksToRejoin(line));
  return lines.filter((line, at) => {
    if (line.group !== id || at > told) return line.group === id;
    return line.kind === 'message' ? entries[(line.position ?? 0) - 1]?.entry.id === line.id : false;
  });
}

/** Whether a place was passed by while a group was out of service because its log went back, that was told; `isOut`: and is still. */
export function wasAbsent(
  branches: readonly Branch[],
  lines: readonly HistoryLine[],
  group: GroupId,
  position: number,
  isOut: boolean,
): boolean {
  const own = lines.filter((line) => line.group === group);
  return own.some((line, at) => {
    if (!asksToRejoin(line) || position <= firstLost(branches, group)) return false;
    const back = own.slice(at).find(({ kind }) => kind === 'joined')?.position;
    return back === undefined ? isOut : position < back;
  });
}

/** Whether a message that was shown was told to be lost. */
export function isToldLost(
  branches: readonly Branch[],
  { lines, groups }: Pick<ClientView, 'lines' | 'groups'>,
  { text, group }: { readonly text: string; readonly group: GroupId },
): boolean {
  const shown = lines.findIndex(
    (line) =>
      line.kind === 'message' &&
      line.group === group &&
      line.own &&
      line.text === text &&
      isLost(branches, group, line.position ?? 0, line.id),
  );
  // to who was out of the group by then nothing is said
  const isOut = groups.get(group)?.phase === 'removed';
  return shown >= 0 && (isOut || lines.slice(shown).some((line) => line.group === group && asksToRejoin(line)));
}

/** Whether a device was told to join a group again, and nobody can let it in: the log has it as no member, or as the only one. */
export function isShutOut(
  { phase }: { readonly phase: string },
  lines: readonly HistoryLine[],
  truth: GroupTruth | undefined,
  device: DeviceId,
  group: GroupId,
): boolean {
  return (
    phase === 'parked' &&
    (truth?.members.has(device) !== true || truth.members.size === 1) &&
    lines.some((line) => line.group === group && asksToRejoin(line))
  );
}

/** Whether an entry was there, of that id if one is asked for, when the log went back behind it. */
function isLost(branches: readonly Branch[], group: GroupId, position: number, id?: string): boolean {
  return branches.slice(1).some(({ begun }, before) => {
    const entry = branches[before]?.groups.get(group)?.entries[position - 1]?.entry;
    return entry !== undefined && position > (begun.get(group) ?? 0) && (id === undefined || entry.id === id);
  });
}

/** Whether a device that may read this entry of a branch is shown it as it stands there. */
export function isPlacedInBranch(
  truth: GroupTruth | undefined,
  { position }: GroupEntry,
  bytes: Uint8Array,
  device: DeviceId,
  branches: number,
): boolean {
  if (truth?.mayRead(device, position) !== true) return false;
  const placed = truth.entries[position - 1]?.bytes;
  return branches === 1 || (placed !== undefined && equalBytes(placed, bytes));
}
