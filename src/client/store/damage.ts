import { ClientError } from '../client-error.ts';
import { kindOf } from './keys.ts';

/** What a person does about it. */
export const REPAIR = 'mlschat repair recovers what it can';

/** One row is not what was written. */
export function damagedRow(key: Uint8Array, cause?: unknown): ClientError {
  return new ClientError('storage', `the store is damaged (${kindOf(key[0] ?? 0)}): ${REPAIR}`, cause);
}

/** What went wrong in the rows of one group, with its name: a person knows groups, not rows. */
export function damagedIn(group: string, { message, cause }: ClientError): ClientError {
  return new ClientError('storage', `#${group}: ${message}`, cause);
}
