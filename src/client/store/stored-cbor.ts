import { decodeCbor } from '../../wire/cbor.ts';
import { ClientError } from '../client-error.ts';

/** The value of a row that this client wrote. @throws ClientError `storage` */
export function decodeStored<Value>(bytes: Uint8Array): Value {
  try {
    return decodeCbor(bytes) as Value;
  } catch (cause) {
    throw new ClientError('storage', 'the local store holds something that cannot be read', cause);
  }
}
