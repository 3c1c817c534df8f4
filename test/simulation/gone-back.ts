import type { HistoryLine } from '../../src/client/chat-client.ts';
import { equalBytes } from '../../src/wire/bytes.ts';
import type { GroupEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Branch } from './branches.ts';
import type { ClientView } from './client-view.ts';
import type { GroupTruth } from './group-truth.ts';
import { followsGap } from './missed.ts';

type Warning = HistoryLine & { readonly kind: 'warning' };

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
  return named.some((entry) =>
    branches.some(({ begun, groups }) => isLostAt(Number(entry), begun.get(group), groups.has(group))),
  );
}

/** What a device that is in a group again says of what it did not read meanwhile. */
export function tellsOfAbsence(branches: readonly Branch[], line: Warning): boolean {
  const { text, group, position = 0 } = line;
  const count = Number(NOT_READ.exec(text)?.[1]?.replaceAll(',', '') ?? 0);
  const first = firstLost(branches, group);
  return count > 0 ? position - count > first : followsGap(line);
}

/**
 * Whether the line is of a message that left before its sender could hear that the log went back: the log takes it by the number of its
 * epoch, which may be another one there, and may have it before what its sender asks for again.
 */
export function isOfBlind(
  branches: readonly Branch[],
  { text, group, position = 0 }: Warning,
  isBlind: (device: DeviceId, id: string) => boolean,
): boolean {
  const now = branches.at(-1)!;
  const truth = now.groups.get(group);
  const entry = truth?.entries[position - 1]?.entry;
  if (truth === undefined || entry?.kind !== 'message' || !isBlind(entry.sender, entry.id)) return false;
  const shared = truth.until(now.begun.get(group) ?? 0).epoch;
  return NEVER_CAME.test(text) || (UNREADABLE.test(text) && entry.epoch > shared);
}

/** Whether a device doubts its server for what it sent before it could hear that the log went back. */
export function isDoubtOfBlind(
  branches: readonly Branch[],
  { text, group }: Warning,
  device: DeviceId,
  isBlind: (device: DeviceId, id: string) => boolean,
): boolean {
  const position = Number(SAID_TO_STAND.exec(text)?.[1] ?? 0);
  return branches.slice(1).some(({ groups }) => {
    const entry = groups.get(group)?.entries[position - 1]?.entry;
    return entry !== undefined && entry.sender === device && isBlind(device, entry.id);
  });
}

/** Whether a text was refused by a log that does not have its sender in the group, before that could hear why. */
export function isRefusedMeanwhile(branches: readonly Branch[], { text, group }: Warning, device: DeviceId): boolean {
  return (
    text.startsWith('Not sent (') &&
    branches.slice(1).some(
      ({ groups, begun }) =>
        groups
          .get(group)
          ?.until(begun.get(group) ?? 0)
          .members.has(device) !== true,
    )
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

/** Whether a place was passed by while a group was out of service because its log went back; that was told. */
export function wasAbsent(
  branches: readonly Branch[],
  lines: readonly HistoryLine[],
  group: GroupId,
  position: number,
): boolean {
  const own = lines.filter((line) => line.group === group);
  return own.some((line, at) => {
    if (!asksToRejoin(line) || position <= firstLost(branches, group)) return false;
    const back = own.slice(at).find(({ kind }) => kind === 'joined')?.position;
    return back === undefined || position < back;
  });
}

/** Whether a message that was shown was told to be lost. */
export function isToldLost(
  { lines, groups }: Pick<ClientView, 'lines' | 'groups'>,
  { text, group }: { readonly text: string; readonly group: GroupId },
): boolean {
  const shown = lines.findIndex(
    (line) => line.kind === 'message' && line.group === group && line.own && line.text === text,
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

function isLostAt(position: number, begun: number | undefined, isThere: boolean): boolean {
  return position > (begun ?? (isThere ? Number.POSITIVE_INFINITY : 0));
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
