import type { ReadModel } from '../../projections/read-model.ts';
import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import { notReady, overloaded } from '../http/problem.ts';
import { withDeadline } from './deadline.ts';
import { type StandsOn, standsOn } from './refusal.ts';

/** How long a request waits for this node to fold what the log holds already, ms. */
const NEWEST_WAIT_MS = 2_000;
/**
 * Refused requests that wait for a second judgement at once. They have left the door, are not at the gate, and each keeps its body, a
 * commit's of up to 8 MiB: a node that is behind, or whose log does not answer, would gather them without an end.
 */
export const WAITING_MAX = 64;

/** `reason` of an `epoch-conflict` about an epoch that has not come here yet. */
export const FUTURE_EPOCH = 'future-epoch';

/**
 * A node that is behind the log does not refuse what it has not seen yet: a member that another node has just let in, an epoch that
 * another node has just begun, the very commit that it is asked for once more. Before "there is no such thing" or "that is not valid"
 * goes out, the log is asked where it ends; when that is further than the verdict's tables, the request is judged once more on tables
 * that hold it. What no newer table can change is said at once.
 *
 * @param about the group of the request's path: what stands on that alone is judged once more only when it has moved
 * @throws ProblemError of `judge`; `not-ready` when this node does not come as far in time, or too many wait for that
 */
export async function judgedOnNewest<Result>(
  { log, readModel }: Pick<ApiDeps, 'log' | 'readModel'>,
  judge: () => Promise<Result> | Result,
  about: { readonly group?: GroupId } = {},
): Promise<Result> {
  const judgedAt = readModel.checkpoint().sequence;
  try {
    return await judge();
  } catch (error) {
    const ground = groundOf(error);
    if (ground === 'nothing') throw error;
    // asked for now, so that what is taken pays nothing for it; tables that went on meanwhile no longer tell what was judged
    const isAsJudged = ground === 'group' && readModel.checkpoint().sequence === judgedAt;
    const groupAt = isAsJudged ? groupState(readModel, about.group) : undefined;
    const isFurther = await whileWaiting(readModel, async () => {
      const { lastSequence } = await log.describe();
      if (lastSequence <= judgedAt) return false;
      await reach(readModel, lastSequence);
      return true;
    });
    if (!isFurther) throw error;
    if (groupAt !== undefined && groupState(readModel, about.group) === groupAt) throw error;
    return await judge();
  }
}

/**
 * Resolves when this node's tables hold what the log holds by now.
 *
 * @throws LogError when the log does not answer; ProblemError `not-ready` when this node does not come as far in time
 */
export async function foldNewest({ log, readModel }: Pick<ApiDeps, 'log' | 'readModel'>): Promise<void> {
  await reach(readModel, (await log.describe()).lastSequence);
}

/** What the refusal stands on: `nothing` when newer tables would not change it. */
function groundOf(error: unknown): StandsOn {
  if (!(error instanceof ProblemError)) return 'nothing';
  const { code, members } = error;
  // placed already, it leaves out a proposal that came before it: whoever is told so forgets it, and cannot read its own commit
  if (code === 'invalid-commit') return standsOn(members.reason);
  const isFuture = code === 'epoch-conflict' && members.reason === FUTURE_EPOCH;
  return code === 'not-found' || code === 'forbidden' || isFuture ? 'tables' : 'nothing';
}

/** Members change with the epoch, and proposals that wait become only more until it does; messages are nothing to a handshake. */
function groupState(readModel: ReadModel, id: GroupId | undefined): string | undefined {
  const group = id === undefined ? undefined : readModel.group(id);
  return group === undefined ? undefined : `${group.epoch} ${group.commitLaneSequence} ${group.proposals.size}`;
}

const waiting = new WeakMap<ReadModel, number>();

/** @throws ProblemError `not-ready` at once when {@link WAITING_MAX} wait for these tables */
async function whileWaiting<Result>(readModel: ReadModel, wait: () => Promise<Result>): Promise<Result> {
  const before = waiting.get(readModel) ?? 0;
  if (before >= WAITING_MAX) throw overloaded('too many requests wait for this node to come as far as the log');
  waiting.set(readModel, before + 1);
  try {
    return await wait();
  } finally {
    waiting.set(readModel, (waiting.get(readModel) ?? 1) - 1);
  }
}

async function reach(readModel: ReadModel, sequence: number): Promise<void> {
  try {
    await withDeadline(NEWEST_WAIT_MS, (signal) => readModel.waitForSequence(sequence, signal));
  } catch (cause) {
    throw notReady('this node has not come as far as the log', cause);
  }
}
