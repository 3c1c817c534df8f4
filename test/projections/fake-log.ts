import { LogError } from '../../src/log/errors.ts';
import type { LogEvent } from '../../src/log/events.ts';
import type { LogEntry } from '../../src/log/reader.ts';
import type { ProjectionLog } from '../../src/projections/fold-run.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';

/** A log in memory that gives its events in batches of chosen sizes, then waits for more. */
export interface FakeLog extends ProjectionLog {
  readonly events: LogEvent[];
  /** @returns its sequence */
  append(...events: LogEvent[]): number;
  /** As a log that lost its tail and went on. */
  cutTo(sequence: number): void;
  /** What the next reader is to throw once it has given everything. */
  failWith(error: Error): void;
}

export function createFakeLog(events: readonly LogEvent[] = [], batchSizes: readonly number[] = [7]): FakeLog {
  const log = [...events];
  const waiting = new Set<() => void>();
  let failure: Error | undefined;
  const wake = (): void => {
    for (const resume of waiting) resume();
    waiting.clear();
  };
  return {
    events: log,
    append(...more) {
      log.push(...more);
      wake();
      return log.length;
    },
    cutTo(sequence) {
      log.length = sequence;
    },
    failWith(error) {
      failure = error;
      wake();
    },
    async read({ checkpoint, signal }) {
      const from = checkpoint?.sequence ?? 0;
      if (checkpoint !== undefined && log[from - 1]?.id !== checkpoint.eventId) {
        throw new LogError('rolled-back', 'another event stands at the checkpoint');
      }
      signal?.addEventListener('abort', wake, { once: true });
      return { tail: log.length, [Symbol.asyncIterator]: () => batches(from, signal) };
    },
  };

  async function* batches(from: number, signal: AbortSignal | undefined): AsyncGenerator<readonly LogEntry[]> {
    let at = from;
    let turn = 0;
    while (signal?.aborted !== true) {
      if (at < log.length) {
        const size = batchSizes[turn % batchSizes.length]!;
        turn += 1;
        const part = log.slice(at, at + size);
        yield part.map((event, i): LogEntry => ({ sequence: at + i + 1, event, bytes: encodeCbor(event) }));
        at += part.length;
      } else if (failure !== undefined) throw failure;
      else {
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
          if (signal?.aborted === true) resolve();
        });
      }
    }
  }
}
