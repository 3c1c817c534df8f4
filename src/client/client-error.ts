/**
 * What a caller of the client can get instead of an answer.
 *
 * - `invalid-name`: a user or group name that no server takes.
 * - `name-taken`: somebody else's keys hold this user name.
 * - `other-user`: the folder belongs to another user name, or to an account of another server's domain.
 * - `folder-locked`: another process uses the folder.
 * - `unreachable`: the server did not answer, and without it there is nothing to go on with.
 * - `incompatible-server`: whatever answered does not speak this protocol.
 * - `clock`: the server refuses our signatures because the clocks differ too much.
 * - `refused`: the server refused, the reason is the message.
 * - `unknown-group`, `unknown-cursor`: not in the local store.
 * - `timeout`: the time given was over first.
 * - `passphrase`: the store is encrypted, and what opens it is missing or wrong.
 * - `storage`: the local store failed or holds something it never wrote.
 * - `worker-failed`: the engine's worker died more often than it may.
 * - `unsupported`: the browser lacks what a client needs, or the page is in no secure context.
 * - `closed`: the client was closed.
 */
export type ClientErrorCode =
  | 'invalid-name'
  | 'name-taken'
  | 'other-user'
  | 'folder-locked'
  | 'unreachable'
  | 'incompatible-server'
  | 'clock'
  | 'refused'
  | 'unknown-group'
  | 'unknown-cursor'
  | 'timeout'
  | 'passphrase'
  | 'storage'
  | 'worker-failed'
  | 'unsupported'
  | 'closed';

/** The one error class of `src/client`: look at `code`; the message is a sentence for people. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
