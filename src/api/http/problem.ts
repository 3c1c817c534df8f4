import { LogError } from '../../log/errors.ts';
import { ProjectionError } from '../../projections/errors.ts';
import { ProblemError } from '../../wire/problems.ts';

const RETRY_SOON_SECONDS = 1;
/** Who is turned away under overload comes again after one to so many seconds. */
const RETRY_SPREAD_SECONDS = 3;
const RETRY_FULL_SECONDS = 60;

/**
 * Any thrown value as the one error a caller may see. What is not a `ProblemError` becomes one without any detail of
 * ours; the original stays its `cause`, for the server's own log.
 */
export function toProblem(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  if (thrown instanceof LogError) return fromLog(thrown);
  if (thrown instanceof ProjectionError) return notReady('the tables of this node cannot be read now', thrown);
  if (isAbort(thrown)) return notReady('the server is closing or took too long', thrown);
  return new ProblemError('internal', 'the server failed to answer', { cause: thrown });
}

/** `not-ready`, with the moment to try again. */
export function notReady(detail: string, cause?: unknown): ProblemError {
  return new ProblemError('not-ready', detail, { retryAfterSeconds: RETRY_SOON_SECONDS, cause });
}

/** `not-ready` because there is too much to do: those who are told so at one moment come again at several. */
export function overloaded(detail: string): ProblemError {
  return new ProblemError('not-ready', detail, { retryAfterSeconds: retrySoonSeconds() });
}

/** Whole seconds, as `Retry-After` has them (RFC 9110 §10.2.3), not the same for all. */
export function retrySoonSeconds(): number {
  return 1 + Math.floor(Math.random() * RETRY_SPREAD_SECONDS);
}

function fromLog(error: LogError): ProblemError {
  switch (error.code) {
    case 'storage-full':
      return new ProblemError('storage-full', 'the log has no room for more', {
        retryAfterSeconds: RETRY_FULL_SECONDS,
        cause: error,
      });
    case 'too-large':
      return new ProblemError('payload-too-large', 'this is larger than an event of the log may be', { cause: error });
    case 'invalid-append':
    case 'invalid-event':
    case 'unknown-event':
      return new ProblemError('internal', 'the server failed to answer', { cause: error });
    default:
      return notReady('the log cannot take or give anything now', error);
  }
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'TimeoutError');
}
