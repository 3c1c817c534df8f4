import { ProblemError } from '../../wire/problems.ts';
import { ClientError } from '../client-error.ts';
import { TransportError } from '../transport/server-api.ts';

/** Whether the same request can be answered otherwise later: nothing was decided by this failure. */
export function isPassing(error: unknown): boolean {
  if (error instanceof TransportError) return true;
  if (!(error instanceof ProblemError)) return false;
  switch (error.code) {
    case 'not-ready':
    case 'rate-limited':
    case 'internal':
    case 'storage-full':
      return true;
    case 'unauthenticated':
      if (isRevoked(error)) return false;
      // the clock may be set, a nonce is new each time, and a node may not have seen the registration yet
      return true;
    default:
      return false;
  }
}

/** A sentence about a failed request, for people. */
export function reasonOf(error: unknown): string {
  if (error instanceof ProblemError && error.members.reason === 'stale') {
    return 'the clocks of this computer and of the server differ by more than a minute';
  }
  if (isRevoked(error)) return 'this device was revoked by its account and cannot be used any more';
  return error instanceof Error ? error.message : String(error);
}

/** The account has ended this device: it will never be answered again. */
export function isRevoked(error: unknown): boolean {
  return error instanceof ProblemError && error.members.reason === 'revoked';
}

export function asClientError(error: unknown, what: string): ClientError {
  if (error instanceof ClientError) return error;
  if (error instanceof TransportError) {
    return error.code === 'unreachable'
      ? new ClientError('unreachable', `the server cannot be reached: ${error.message}`, error)
      : new ClientError('incompatible-server', error.message, error);
  }
  if (error instanceof ProblemError) {
    if (error.members.reason === 'stale') return new ClientError('clock', reasonOf(error), error);
    if (isPassing(error))
      return new ClientError('unreachable', `the server cannot do this now: ${error.message}`, error);
    return new ClientError('refused', `${what} was refused: ${error.message}`, error);
  }
  return new ClientError('storage', `${what} failed: ${reasonOf(error)}`, error);
}
