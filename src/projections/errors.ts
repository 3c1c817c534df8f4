/**
 * Why the projections stopped, or could not do what was asked.
 *
 * - `unknown-event`: an event of a type this version does not know. Halt, never skip.
 * - `invalid-event`: an event that no server writes (an id without an id's form, say).
 * - `gap`: a sequence is missing between two events.
 * - `fold-failed`: a reducer threw; `cause` says why.
 * - `store-failed`: the tables could not be written.
 * - `damaged`: a row of the tables is not what was written, or is missing: they are made anew from the log.
 * - `rebuilding`: the tables are being made anew, and nothing is read from them before that is done.
 * - `reader-ended`: the log's reader stopped without being asked to.
 * - `overloaded`: too many callers wait already.
 * - `closed`: the projections were closed.
 */
export type ProjectionErrorCode =
  | 'unknown-event'
  | 'invalid-event'
  | 'gap'
  | 'fold-failed'
  | 'store-failed'
  | 'damaged'
  | 'rebuilding'
  | 'reader-ended'
  | 'overloaded'
  | 'closed';

/** The one error class of this folder. Callers look at `code`, people at `message`. */
export class ProjectionError extends Error {
  override readonly name = 'ProjectionError';
  readonly code: ProjectionErrorCode;

  constructor(code: ProjectionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
