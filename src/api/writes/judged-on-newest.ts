import type { ReadModel } from '../../projections/read-model.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import { notReady } from '../http/problem.ts';
import { withDeadline } from './deadline.ts';

/** How long a request waits for this node to fold what the log holds already, ms. */
const NEWEST_WAIT_MS = 2_000;

/** `reason` of an `epoch-conflict` about an epoch that has not come here yet. */
export const FUTURE_EPOCH = 'future-epoch';

/**
 * A node that is behind the log does not refuse what it has not seen yet: a member that another node has just let in, an epoch that
 * another node has just begun, the very commit that it is asked for once more. Before "there is no such thing" or "that is not valid"
 * goes out, the log is asked where it ends; when that is further than the verdict's tables, the request is judged once more on tables
 * that hold it.
 *
 * @throws ProblemError of `judge`; `not-ready` when this node does not come as far in time
 */
export async function judgedOnNewest<Result>(
  { log, readModel }: Pick<ApiDeps, 'log' | 'readModel'>,
  judge: () => Promise<Result> | Result,
): Promise<Result> {
  const judgedAt = readModel.checkpoint().sequence;
  try {
    return await judge();
  } catch (error) {
    if (!mayBeTooEarly(error)) throw error;
    const { lastSequence } = await log.describe();
    if (lastSequence <= judgedAt) throw error;
    await reach(readModel, lastSequence);
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

function mayBeTooEarly(error: unknown): boolean {
  if (!(error instanceof ProblemError)) return false;
  const { code, members } = error;
  // placed already, it leaves out a proposal that came before it: whoever is told so forgets it, and cannot read its own commit
  if (code === 'invalid-commit') return true;
  return code === 'not-found' || code === 'forbidden' || (code === 'epoch-conflict' && members.reason === FUTURE_EPOCH);
}

async function reach(readModel: ReadModel, sequence: number): Promise<void> {
  try {
    await withDeadline(NEWEST_WAIT_MS, (signal) => readModel.waitForSequence(sequence, signal));
  } catch (cause) {
    throw notReady('this node has not come as far as the log', cause);
  }
}
