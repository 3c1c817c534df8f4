import { concatBytes, toUtf8 } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';

const SHA256 = 1; // of IANA's registry of named information hashes
const HASH_BYTES = 31;

/** Who sent a message, and where: the names that its id is made of. */
export interface MessagePlace {
  readonly senderUri: string;
  readonly roomUri: string;
}

/** The id of a message (draft-ietf-mimi-content-08 §3.3): equal for all who have it, and nobody can make two with one. */
export function messageIdOf(content: Uint8Array, salt: Uint8Array, place: MessagePlace, sha256: Sha256): Uint8Array {
  const [sender, room] = [toUtf8(place.senderUri), toUtf8(place.roomUri)];
  const hash = sha256(concatBytes(lengthOf(sender), sender, lengthOf(room), room, content, salt));
  return concatBytes(Uint8Array.of(SHA256), hash.subarray(0, HASH_BYTES));
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.of(bytes.length >> 8, bytes.length & 0xff);
}
