/**
 * Why a tool could not do what was asked; the message says what to do about it.
 *
 * - `no-data`: there is nothing of a server in the data folder.
 * - `server-runs`: the server has to be stopped first.
 * - `not-empty`: the place to write to holds something already.
 * - `not-found`: no such group, no such event.
 * - `damaged-file`: a file of ours is cut short, altered, or none of ours.
 */
export type ToolErrorCode = 'no-data' | 'server-runs' | 'not-empty' | 'not-found' | 'damaged-file';

/** The one error class of this folder. Callers look at `code`, people at `message`. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
  readonly code: ToolErrorCode;

  constructor(code: ToolErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
