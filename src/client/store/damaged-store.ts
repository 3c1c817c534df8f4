import { dirname } from 'node:path';
import { ClientError } from '../client-error.ts';
import { REPAIR } from './damage.ts';

/** The file of a store is not what was written. `path`: the folder of the store. */
export function damagedStore(path: string, fault: string): ClientError {
  return new ClientError('storage', `the store in ${dirname(path)} is damaged (${fault}): ${REPAIR}`);
}
