import type { GroupCut } from '../../log/append-compactions.ts';
import type { TablesFile } from '../../projections/store/tables-file.ts';
import { decodeEntry, isGroupEntry } from '../../wire/entry.ts';
import { ToolError } from '../tool-error.ts';

/** Which entries may go: those that are older and not among the newest, where both are said. The newest entry always stays. */
export interface CompactPolicy {
  /** Entries that the server took before this moment, milliseconds since 1970. */
  readonly before?: number;
  /** All but this many of the newest of a group. */
  readonly keep?: number;
}

/** What goes of one group. */
export interface GroupPlan {
  readonly group: Uint8Array;
  /** The entries from `from` up to and without `logStart` go, those up to `last` stay. */
  readonly from: number;
  readonly logStart: number;
  readonly last: number;
  /** When the first entry that stays was taken, milliseconds since 1970. */
  readonly time: number;
  /** In steps, so that no fold of one event becomes too large; the last one ends at `logStart`. */
  readonly cuts: readonly GroupCut[];
}

const SLICE_ENTRIES = 500;
/** The fold of one event drops at most this many entries. */
const STEP_ENTRIES = 50_000;

/** What the policy lets go, group by group, in the order of their creation; groups that lose nothing are left out. */
export async function planCompaction(
  tables: TablesFile,
  policy: CompactPolicy,
  signal: AbortSignal | undefined,
): Promise<readonly GroupPlan[]> {
  const plans: GroupPlan[] = [];
  for (const { number, group, position: last } of tables.standing().heads) {
    const from = tables.logStartOf(number)?.position ?? 1;
    const most = Math.min(last - Math.max(policy.keep ?? 1, 1) + 1, tables.oldestProposal(number) ?? last);
    const wanted = await startOf(tables, { number, from, most, before: policy.before }, signal);
    const logStart = beforeOpenProposals(kindsIn(tables, number, from, wanted.logStart), wanted.logStart);
    const time = logStart === wanted.logStart ? wanted.time : timeAt(tables, number, logStart);
    if (logStart > from)
      plans.push({ group, from, logStart, last, time, cuts: cutsOf(tables, number, group, from, logStart) });
  }
  return plans;
}

/**
 * Where a group's log may begin, at `logStart` or before: a commit names the proposals it covers, and whoever has read up to their
 * epoch could not follow it without them. So proposals stay as long as the commit that ends their epoch.
 *
 * @param entries those before `logStart`, in order
 */
export function beforeOpenProposals(
  entries: Iterable<{ readonly position: number; readonly kind: string }>,
  logStart: number,
): number {
  let open: number | undefined;
  for (const { position, kind } of entries) {
    if (kind === 'commit') open = undefined;
    else if (kind === 'proposal') open ??= position;
  }
  return open ?? logStart;
}

function* kindsIn(tables: TablesFile, number: number, from: number, end: number) {
  for (let next = from; next < end; next += SLICE_ENTRIES) {
    for (const { position, bytes } of tables.entries(number, next, Math.min(SLICE_ENTRIES, end - next))) {
      yield { position, kind: decodeEntry(bytes).kind };
    }
  }
}

/** The first entry that stays, at `most` the last that may be the first. Times are those that readers see. */
async function startOf(
  tables: TablesFile,
  group: { readonly number: number; readonly from: number; readonly most: number; readonly before: number | undefined },
  signal: AbortSignal | undefined,
): Promise<{ readonly logStart: number; readonly time: number }> {
  const { number, from, most, before } = group;
  if (most <= from) return { logStart: from, time: 0 };
  if (before === undefined) return { logStart: most, time: timeAt(tables, number, most) };
  for (let next = from; next <= most; ) {
    for (const { position, bytes } of tables.entries(number, next, SLICE_ENTRIES)) {
      const time = timeOf(bytes);
      if (time >= before || position >= most) return { logStart: position, time };
      next = position + 1;
    }
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  }
  return { logStart: from, time: 0 };
}

function cutsOf(tables: TablesFile, number: number, group: Uint8Array, from: number, logStart: number): GroupCut[] {
  const cuts: GroupCut[] = [];
  for (let at = from; at < logStart; ) {
    at = Math.min(at + STEP_ENTRIES, logStart);
    const [before] = tables.entries(number, at - 1, 1);
    if (before?.position !== at - 1) throw missing(at - 1);
    cuts.push({ group, logStart: at, head: before.head });
  }
  return cuts;
}

function timeAt(tables: TablesFile, number: number, position: number): number {
  const [entry] = tables.entries(number, position, 1);
  if (entry?.position !== position) throw missing(position);
  return timeOf(entry.bytes);
}

function timeOf(bytes: Uint8Array): number {
  const entry = decodeEntry(bytes);
  return isGroupEntry(entry) ? entry.time : 0;
}

function missing(position: number): ToolError {
  return new ToolError('damaged-file', `entry ${position} is missing in the tables: see mlsd verify`);
}
