import { sha256 } from '@noble/hashes/sha2.js';
import type { Sha256 } from '../../wire/ids.ts';

/** SHA-256 in plain JavaScript, synchronous and without `node:`, for the few references a client makes. */
export const nobleSha256: Sha256 = (bytes) => sha256(bytes);
