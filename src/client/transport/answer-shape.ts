import { decodeCbor } from '../../wire/cbor.ts';
import { TransportError } from './server-api.ts';

export interface Shape<Value> {
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: unknown };
}

/** The value of an answer. @throws TransportError `malformed` when it is not of this protocol */
export function shaped<Value>(shape: Shape<Value>, body: Uint8Array): Value {
  const parsed = shape.safeParse(wellFormed(decodeCbor, body));
  if (parsed.success) return parsed.data;
  throw new TransportError('malformed', "the server's answer is not of this protocol", parsed.error);
}

/** @throws TransportError `malformed` when `decode` throws */
export function wellFormed<Input, Output>(decode: (input: Input) => Output, input: Input): Output {
  try {
    return decode(input);
  } catch (cause) {
    throw new TransportError('malformed', "the server's answer cannot be read", cause);
  }
}
