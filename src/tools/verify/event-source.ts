import type { RawEvent } from '../../log/raw-events.ts';
import type { LogEntry } from '../../log/reader.ts';
import { checkEvent } from './check-event.ts';
import { Found } from './report.ts';

/** Events that are checked as they pass, to be folded in one or several goes. */
export interface EventSource {
  /** The checked events that come next, up to and including this sequence. To be iterated to its end. */
  upTo(last: number): AsyncIterable<readonly LogEntry[]>;
  /** How many of each type have passed. */
  readonly counts: ReadonlyMap<string, number>;
  /** The newest incarnation that passed. */
  readonly incarnation: string;
  /** Id of the last event that passed. */
  readonly eventId: string;
  /** Settles when the events end here. @throws Found when there are more */
  end(): Promise<void>;
  close(): Promise<void>;
}

/** @throws while iterating: Found for an event that does not hold; what the events themselves throw */
export function createEventSource(events: AsyncIterable<readonly Omit<RawEvent, 'storedAt'>[]>): EventSource {
  const iterator = events[Symbol.asyncIterator]();
  const counts = new Map<string, number>();
  let rest: readonly Omit<RawEvent, 'storedAt'>[] = [];
  let reached = 0;
  let incarnation = '';
  let eventId = '';

  const check = (raw: Omit<RawEvent, 'storedAt'>): LogEntry => {
    if (raw.sequence !== reached + 1) throw new Found('log', `event ${reached + 1} is missing`);
    const checked = checkEvent(raw);
    if ('problem' in checked) throw new Found('log', `event ${raw.sequence} ${checked.problem}`);
    const { event } = checked.entry;
    reached = raw.sequence;
    eventId = event.id;
    counts.set(event.type, (counts.get(event.type) ?? 0) + 1);
    if (event.type === 'log-started') incarnation = event.incarnation;
    else if (reached === 1) throw new Found('log', `event 1 is ${event.type}, and a log begins with log-started`);
    return checked.entry;
  };
  return {
    async *upTo(last) {
      while (reached < last) {
        if (rest.length === 0) {
          const { value, done } = await iterator.next();
          if (done === true) throw new Found('log', `it ends at event ${reached}, before ${last}`);
          rest = value;
          continue;
        }
        const batch = rest.slice(0, last - reached);
        rest = rest.slice(batch.length);
        yield batch.map(check);
      }
    },
    counts,
    get incarnation() {
      return incarnation;
    },
    get eventId() {
      return eventId;
    },
    async end() {
      if (rest.length > 0 || (await iterator.next()).done !== true) {
        throw new Found('log', `it goes on after event ${reached}, where it should end`);
      }
    },
    async close() {
      await iterator.return?.();
    },
  };
}
