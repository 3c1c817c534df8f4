import { messageOf } from './errors.ts';

/** Ends one thing that was opened. */
export type Close = () => Promise<void>;

/**
 * Closes all of it, the last first, one after the other, and empties the list. One that cannot be closed keeps none of the others open.
 *
 * @throws what the closing threw, as it is when it was one; AggregateError when it was more
 */
export async function closeAll(opened: Close[]): Promise<void> {
  const failures = await closeEach(opened);
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, messageOf(failures[0]));
}

/**
 * The same for what was opened before something else failed.
 *
 * @returns what to throw: that failure, whose code says what to do; what the closing threw stands in its `suppressed`
 */
export async function closedAfter(failure: unknown, opened: Close[]): Promise<unknown> {
  const more = await closeEach(opened);
  if (more.length === 0) return failure;
  return Object.assign(failure instanceof Error ? failure : new Error(messageOf(failure)), { suppressed: more });
}

/** @returns what was thrown */
async function closeEach(opened: Close[]): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const close of opened.splice(0).reverse()) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  return failures;
}
