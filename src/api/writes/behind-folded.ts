import type { ProblemError } from '../../wire/problems.ts';
import { notReady } from '../http/problem.ts';

/**
 * An event that was just appended stands behind all that was folded before. One that does not is in a log that went back, of which this
 * node has yet to hear: where its tables say that it stands, another event stood.
 *
 * @param folded how far the fold was before the event was appended
 * @throws ProblemError `not-ready`
 */
export function checkBehindFolded(sequence: number, folded: number): void {
  if (sequence <= folded) throw wentBack();
}

/** Where an event was appended this node's tables say that another one stands, or none. */
export function wentBack(cause?: unknown): ProblemError {
  return notReady('the log went back: ask again', cause);
}
