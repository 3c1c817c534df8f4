import type { Decision } from '../../log/append-decided.ts';
import type { ReadModel, RequestOutcome } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { ApiDeps } from '../deps.ts';
import { notReady } from '../http/problem.ts';
import { wentBack } from './behind-folded.ts';
import { withDeadline } from './deadline.ts';
import type { Gate } from './gate.ts';

/** How long a write waits for the log and for the fold of this node, ms. */
export const WRITE_TIMEOUT_MS = 15_000;

export interface RequestToAppend<Judged, Answer> {
  readonly eventId: string;
  /** See `Call.requestDigest`. */
  readonly digest: Uint8Array;
  /**
   * What the tables alone can say, cheaply: who may not do this, or comes too late, hears so also while there is no room for
   * what others may do. Problems are thrown.
   */
  readonly judge: (view: ReadModel) => Judged;
  /**
   * Decides on the read model as it was judged; both run again after a conflict. Problems are thrown. It must take all
   * that `expected` stands for from the read model before its first `await`.
   */
  readonly decide: (view: ReadModel, judged: Judged) => Decision<Answer> | Promise<Decision<Answer>>;
}

export type Written<Answer> =
  | { readonly kind: 'written'; readonly outcome: PlacedOutcome; readonly repeated: boolean }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** An outcome that is not `dropped`. */
type PlacedOutcome = Omit<RequestOutcome, 'result'> & {
  readonly result: Exclude<RequestOutcome['result'], { readonly kind: 'dropped' }>;
};

/**
 * One request, one event: decides, appends with comparison, waits until this node has folded it, and answers from what
 * the fold made of it. A repeated request (same event id, same digest) gets the answer of the first.
 *
 * @throws ProblemError of `judge` and `decide`, `idempotency-conflict`, what the fold dropped it for, or `not-ready`.
 */
export async function appendRequest<Judged, Answer = never>(
  deps: Pick<ApiDeps, 'log' | 'readModel'>,
  gate: Gate,
  request: RequestToAppend<Judged, Answer>,
): Promise<Written<Answer>> {
  const { log, readModel } = deps;
  const { eventId, digest, judge, decide } = request;
  const known = readModel.request(eventId);
  if (known !== undefined) return written(known, digest, true);

  const write = (): Promise<Written<Answer>> =>
    withDeadline(WRITE_TIMEOUT_MS, async (signal) => {
      const result = await log.appendDecided<ReadModel, Answer | typeof REPEATED>({
        eventId,
        signal,
        view: async (atLeast) => {
          await readModel.waitForSequence(atLeast, signal);
          return readModel;
        },
        decide: (view) => {
          if (view.request(eventId) !== undefined) return { kind: 'answer', answer: REPEATED };
          return decide(view, judge(view));
        },
      });
      if (result.kind === 'conflict') throw notReady('too many write to the same place at once');
      if (result.kind === 'answer' && result.answer !== REPEATED) return { kind: 'answer', answer: result.answer };
      if (result.kind !== 'answer') await readModel.waitForSequence(result.sequence, signal);
      const outcome = readModel.request(eventId);
      if (outcome === undefined) throw wentBack(new Error('the fold has passed an event without an outcome'));
      return written(outcome, digest, result.kind !== 'committed');
    });
  return await gate.pass(write, () => judge(readModel));
}

/** The decision found that the event is there already. */
const REPEATED = Symbol('repeated');

function written(outcome: RequestOutcome, digest: Uint8Array, repeated: boolean): Written<never> {
  const { result } = outcome;
  if (!equalBytes(outcome.digest, digest)) {
    throw new ProblemError('idempotency-conflict', 'this Idempotency-Key was used for another request');
  }
  if (result.kind === 'dropped') throw new ProblemError(result.problem, result.detail);
  return { kind: 'written', outcome: { ...outcome, result }, repeated };
}
