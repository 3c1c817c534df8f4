import type { AppendRequest, AppendResult } from './append.ts';
import { type Backoff, backoffMs, wait } from './backoff.ts';
import { LogError } from './errors.ts';

/** What a decision function says about a view: append this, or answer without appending. */
export type Decision<Answer> =
  | ({ readonly kind: 'append' } & AppendRequest)
  | { readonly kind: 'answer'; readonly answer: Answer };

export interface DecideOptions<View, Answer> {
  /** The id that the event carries in every attempt. */
  readonly eventId: string;
  /**
   * The state to decide on, folded at least up to `atLeast` (0: any). Asked anew before every attempt, because what
   * was decided on an old view is worth nothing after a conflict.
   */
  readonly view: (atLeast: number) => Promise<View>;
  readonly decide: (view: View, eventId: string) => Decision<Answer> | Promise<Decision<Answer>>;
  readonly signal?: AbortSignal;
}

/** `conflict` when the last attempt lost as well: the lane is too busy, the caller may come again. */
export type DecidedResult<Answer> =
  | { readonly kind: 'committed' | 'duplicate'; readonly sequence: number }
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'conflict'; readonly attempts: number };

const ATTEMPTS_MAX = 16;
const CONFLICT_BACKOFF: Backoff = { firstMs: 2, maxMs: 100 };

/**
 * Decides on a view, appends, and starts again from a newer view when somebody else was first.
 *
 * @throws what `view`, `decide` and `append` throw; LogError `invalid-append` when the event has another id.
 */
export async function appendDecided<View, Answer>(
  append: (request: AppendRequest, signal?: AbortSignal) => Promise<AppendResult>,
  options: DecideOptions<View, Answer>,
): Promise<DecidedResult<Answer>> {
  const { eventId, view, decide, signal } = options;
  let atLeast = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (attempt > 0) await wait(backoffMs(CONFLICT_BACKOFF, attempt - 1), signal);
    const decision = await decide(await view(atLeast), eventId);
    if (decision.kind === 'answer') return decision;
    if (decision.event.id !== eventId) {
      throw new LogError('invalid-append', 'every attempt has to carry the same event id');
    }
    const result = await append(decision, signal);
    if (result.kind !== 'conflict') return result;
    atLeast = result.lastSequence;
  }
  return { kind: 'conflict', attempts: ATTEMPTS_MAX };
}
