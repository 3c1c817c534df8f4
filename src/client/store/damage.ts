import { dirname } from 'node:path';
import { ClientError } from '../client-error.ts';
import { kindOf } from './keys.ts';

const REPAIR = 'mlschat repair recovers what it can';

/** The file of a store is not what was written. `path`: the folder of the store. */
export function damagedStore(path: string, fault: string): ClientError {
  return new ClientError('storage', `the store in ${dirname(path)} is damaged (${fault}): ${REPAIR}`);
}

/** One row is not what was written. */
export function damagedRow(key: Uint8Array, cause?: unknown): ClientError {
  return new ClientError('storage', `the store is damaged (${kindOf(key[0] ?? 0)}): ${REPAIR}`, cause);
}
