import { failureError, type LogConnection } from './connection.ts';
import { STREAM_NAME } from './subjects.ts';

/** A message as it stands in the stream. */
export interface StoredMessage {
  readonly sequence: number;
  readonly eventId: string;
  readonly bytes: Uint8Array;
}

/** Header that carries the event id; JetStream recognises what was sent twice by it. */
export const MESSAGE_ID_HEADER = 'Nats-Msg-Id';
/** JetStream's code for "there is no such message". */
const NO_MESSAGE_FOUND = 10037;

interface MessageAnswer {
  readonly message: { readonly seq: number; readonly hdrs?: string; readonly data?: string };
}

/**
 * Reads one message from the stream's leader: by sequence, the newest of a subject, or the first of a subject at or
 * after a sequence. `undefined` when there is none.
 *
 * @throws LogError `unavailable`, `rejected`.
 */
export async function readMessage(
  connection: LogConnection,
  which: { seq: number } | { last_by_subj: string } | { seq: number; next_by_subj: string },
): Promise<StoredMessage | undefined> {
  const answer = await connection.api<MessageAnswer>(`STREAM.MSG.GET.${STREAM_NAME}`, which);
  if (!answer.ok) {
    if (answer.failure.errCode === NO_MESSAGE_FOUND) return undefined;
    throw failureError('read a message', answer.failure);
  }
  const { seq, hdrs, data } = answer.value.message;
  return {
    sequence: seq,
    eventId: headerValue(Buffer.from(hdrs ?? '', 'base64').toString('utf8'), MESSAGE_ID_HEADER),
    bytes: new Uint8Array(Buffer.from(data ?? '', 'base64')),
  };
}

function headerValue(headers: string, name: string): string {
  for (const line of headers.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && line.slice(0, colon) === name) return line.slice(colon + 1).trim();
  }
  return '';
}
