import { decodeEvent, encodeEvent } from '../../log/envelope.ts';
import { LogError } from '../../log/errors.ts';
import { isOnItsLane } from '../../log/event-lane.ts';
import type { RawEvent } from '../../log/raw-events.ts';
import type { LogEntry } from '../../log/reader.ts';
import { equalBytes } from '../../wire/bytes.ts';

/** An event that can be folded, or what is wrong with it. */
export type EventCheck = { readonly entry: LogEntry } | { readonly problem: string };

/** Holds an event as it is stored against what every event has to be: decodable, in its one form, on its lane, under its id. */
export function checkEvent({ sequence, subject, eventId, bytes }: Omit<RawEvent, 'storedAt'>): EventCheck {
  try {
    const event = decodeEvent(bytes);
    if (!equalBytes(encodeEvent(event), bytes)) return { problem: 'is not in the one form that CBOR has for it' };
    if (!isOnItsLane(event, subject)) return { problem: `is a ${event.type} event, but stands on ${subject}` };
    if (event.id !== eventId) return { problem: `has the id ${event.id}, but is stored as ${eventId || 'nothing'}` };
    return { entry: { sequence, event, bytes } };
  } catch (error) {
    if (error instanceof LogError) return { problem: `cannot be decoded: ${error.message}` };
    throw error;
  }
}
