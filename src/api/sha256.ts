import { hash } from 'node:crypto';
import type { Sha256 } from '../wire/ids.ts';

/** SHA-256 of node:crypto. */
export const sha256: Sha256 = (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer'));
