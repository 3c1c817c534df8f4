/**
 * Why the log could not do something. Expected outcomes (`conflict`, `duplicate`) are answers, not errors.
 *
 * - `unavailable`: the server could not be reached or did not answer; the same event may be sent again.
 * - `storage-full`: the server has no room; nothing was stored.
 * - `too-large`: the event exceeds what the server takes; nothing was stored.
 * - `overloaded`: a queue of ours is full; nothing was sent.
 * - `rejected`: the server refused for another reason; nothing was stored.
 * - `invalid-append`: the request itself is wrong (a compared lane without an expectation, say).
 * - `invalid-event`, `unknown-event`: bytes in the log that this version cannot take. Halt, never skip.
 * - `gap`: sequence numbers are missing. The log is damaged.
 * - `rolled-back`: the log is behind the checkpoint, or holds another event there.
 * - `incarnation-changed`: the log was replaced since the checkpoint was written.
 * - `domain-mismatch`: the log belongs to another domain.
 * - `log-unsafe`: the stream is set up in a way that loses or reorders events, or it is not an `mlsd` log.
 * - `log-missing`: there is no stream although the tables are not empty.
 * - `replicas-refused`: replicas > 1 on a server version whose compare-and-append is not known to be right.
 * - `locked`: another process uses the folder.
 * - `server-not-found`, `server-failed`: the embedded nats-server is missing or does not start.
 * - `aborted`, `closed`: the caller gave up, or the log was closed.
 */
export type LogErrorCode =
  | 'unavailable'
  | 'storage-full'
  | 'too-large'
  | 'overloaded'
  | 'rejected'
  | 'invalid-append'
  | 'invalid-event'
  | 'unknown-event'
  | 'gap'
  | 'rolled-back'
  | 'incarnation-changed'
  | 'domain-mismatch'
  | 'log-missing'
  | 'log-unsafe'
  | 'replicas-refused'
  | 'locked'
  | 'server-not-found'
  | 'server-failed'
  | 'aborted'
  | 'closed';

const RETRYABLE: ReadonlySet<LogErrorCode> = new Set(['unavailable', 'overloaded']);

/** The one error class of this folder. Callers look at `code`, people at `message`. */
export class LogError extends Error {
  override readonly name = 'LogError';
  readonly code: LogErrorCode;

  constructor(code: LogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the same request, with the same event id, may succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

/** `error` as a message for people, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
