import type { LogEvent } from '../../src/log/events.ts';
import type { Order } from '../../src/projections/order.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { Cursor, GroupId } from '../../src/wire/ids.ts';
import { START_CURSOR } from '../../src/wire/ids.ts';
import type { GroupTruth } from './group-truth.ts';
import { CURSOR_SEAL, INCARNATION } from './server-node.ts';

export type CommitEvent = LogEvent & { readonly type: 'commit-accepted' | 'opaque-commit-accepted' };

/** What the log holds until it goes back. The next branch begins with what was not lost of it. */
export interface Branch {
  /** Ids that the log called itself by, oldest first: one branch may go on under the id of the one before. */
  readonly incarnations: string[];
  readonly groups: Map<GroupId, GroupTruth>;
  /** Sequences of the events that made the groups, and of those that made their entries. */
  readonly sequences: Map<GroupId, { readonly created: number; readonly entries: number[] }>;
  /** Entries of each group that it began with. */
  readonly begun: ReadonlyMap<GroupId, number>;
  /** Where the commit of an epoch stands. */
  readonly commits: Map<string, number>;
  readonly taken: { readonly event: CommitEvent; readonly sequence: number; readonly isVoid: boolean }[];
  /** First position of a group that is not compacted. */
  readonly firstKept: Map<GroupId, number>;
  /** What was read at a place, and where each text was read. */
  readonly texts: Map<string, string>;
  readonly places: Map<string, { readonly group: GroupId; readonly position: number }>;
}

export function firstBranch(): Branch {
  return {
    incarnations: [INCARNATION],
    groups: new Map(),
    sequences: new Map(),
    begun: new Map(),
    commits: new Map(),
    taken: [],
    firstKept: new Map(),
    texts: new Map(),
    places: new Map(),
  };
}

/** What is left of a branch when the log holds no more than these events. */
export function branchOff(from: Branch, events: readonly { readonly event: LogEvent }[]): Branch {
  const end = events.length;
  const started = events.flatMap(({ event }) => (event.type === 'log-started' ? [event.incarnation] : []));
  const branch: Branch = { ...firstBranch(), incarnations: started.slice(-1), begun: new Map() };
  for (const [id, { created, entries }] of from.sequences) {
    if (created > end) continue;
    const kept = entries.filter((sequence) => sequence <= end);
    branch.sequences.set(id, { created, entries: kept });
    branch.groups.set(id, from.groups.get(id)!.until(kept.length));
    (branch.begun as Map<GroupId, number>).set(id, kept.length);
  }
  for (const [key, sequence] of from.commits) if (sequence <= end) branch.commits.set(key, sequence);
  branch.taken.push(...from.taken.filter(({ sequence }) => sequence <= end));
  for (const { event } of events) {
    if (event.type !== 'group-compacted') continue;
    const id = toBase64Url(event.group) as GroupId;
    branch.firstKept.set(id, Math.max(branch.firstKept.get(id) ?? 1, event.logStart));
  }
  for (const [text, place] of from.places) {
    if (place.position > (branch.begun.get(place.group) ?? 0)) continue;
    branch.places.set(text, place);
    branch.texts.set(`${place.group}/${place.position}`, text);
  }
  return branch;
}

/** What a cursor says, in whichever life of the log it was given. */
export interface OpenedCursor {
  /** In the order in which the log was called so; absent: the beginning of any. */
  readonly incarnation: number | undefined;
  readonly order: Order;
}

/** @returns `undefined`: it is none of any incarnation */
export function openCursor(branches: readonly Branch[], cursor: Cursor): OpenedCursor | undefined {
  const ids = namesOf(branches);
  for (const [at, id] of [...ids.entries()].reverse()) {
    const opened = CURSOR_SEAL.open(id, cursor);
    if (opened.kind !== 'order') continue;
    return { incarnation: cursor === START_CURSOR ? undefined : at, order: opened.order };
  }
  return undefined;
}

/** Those in which the log was called so. */
export function branchesOf(branches: readonly Branch[], incarnation: number): readonly Branch[] {
  const id = namesOf(branches)[incarnation] ?? '';
  return branches.filter(({ incarnations }) => incarnations.includes(id));
}

export function lastIncarnation(branches: readonly Branch[]): number {
  return namesOf(branches).length - 1;
}

function namesOf(branches: readonly Branch[]): readonly string[] {
  return [...new Set(branches.flatMap(({ incarnations }) => incarnations))];
}
