/**
 * What went wrong in an operation of `src/mls` that its caller could have avoided.
 *
 * - `library-unpatched`: ts-mls is installed without our patch.
 * - `unknown-suite`: a cipher suite that the suite factory does not make.
 * - `invalid-argument`: an argument outside its stated range.
 * - `invalid-state`: stored rows that are not a group state.
 * - `invalid-key-package`: a key package that must not be added, the reason in the message.
 * - `unknown-leaf`: no member at that leaf.
 * - `own-leave-pending`: our own leave waits; somebody else has to commit it (RFC 9420 §12.2).
 * - `pending-proposals`: proposals wait for a commit, so no message may be sent (RFC 9420 §12.4).
 * - `not-active`: we were removed from this group.
 * - `library`: ts-mls refused, its error is the cause.
 */
export type MlsErrorCode =
  | 'library-unpatched'
  | 'unknown-suite'
  | 'invalid-argument'
  | 'invalid-state'
  | 'invalid-key-package'
  | 'unknown-leaf'
  | 'own-leave-pending'
  | 'pending-proposals'
  | 'not-active'
  | 'library';

/** The one error class of `src/mls`: look at `code`, never at the message. */
export class MlsError extends Error {
  override readonly name = 'MlsError';
  readonly code: MlsErrorCode;

  constructor(code: MlsErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Runs a library call; whatever it throws becomes an {@link MlsError} with code `library` and that cause. */
export async function guardLibrary<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof MlsError) throw error;
    throw new MlsError('library', `${what}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}
