import { decodeCborShared } from '../../wire/cbor.ts';
import { isClientId } from '../../wire/ids.ts';
import type { MessagesRequest } from '../../wire/schemas/groups.ts';
import { MEDIA_TYPES } from '../http/negotiate.ts';

const MESSAGES_MAX = 100;

/**
 * The short way for a CBOR body of messages, which are most of what a server reads: what `messagesRequest` says, without
 * its cost a message. `undefined` is left to the schema, which alone says what is wrong; a property test holds this one to
 * its verdicts. The messages share memory with the body.
 */
export function readMessagesBody(contentType: string | undefined, body: Uint8Array): MessagesRequest | undefined {
  if (contentType !== MEDIA_TYPES.cbor) return undefined;
  let value: unknown;
  try {
    value = decodeCborShared(body);
  } catch {
    return undefined;
  }
  return isMessagesRequest(value) ? value : undefined;
}

function isMessagesRequest(value: unknown): value is MessagesRequest {
  if (!isRecordOf(value, 1)) return false;
  const { messages } = value;
  return (
    Array.isArray(messages) && messages.length > 0 && messages.length <= MESSAGES_MAX && messages.every(isSentMessage)
  );
}

function isSentMessage(value: unknown): boolean {
  if (!isRecordOf(value, 2)) return false;
  const { id, message } = value;
  return typeof id === 'string' && isClientId(id) && message instanceof Uint8Array && message.length > 0;
}

function isRecordOf(value: unknown, members: number): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  let count = 0;
  for (const _ in value) count += 1;
  return count === members;
}
