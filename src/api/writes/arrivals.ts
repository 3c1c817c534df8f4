import type { ReadModel } from '../../projections/read-model.ts';
import { withDeadline } from './deadline.ts';

/** Waits for events of the log to be folded; all who wait for one event share one wait and its deadline. */
export interface Arrivals {
  /** Resolves when this node has folded the event at `sequence`. @throws as `ReadModel.waitForSequence`, or `TimeoutError` */
  of(sequence: number): Promise<void>;
}

/** @param timeoutMs from the first caller on; messages of one event are answered by the log in one turn. */
export function createArrivals(readModel: Pick<ReadModel, 'waitForSequence'>, timeoutMs: number): Arrivals {
  const awaited = new Map<number, Promise<void>>();
  return {
    of(sequence) {
      let arrival = awaited.get(sequence);
      if (arrival === undefined) {
        arrival = withDeadline(timeoutMs, (signal) => readModel.waitForSequence(sequence, signal)).finally(() =>
          awaited.delete(sequence),
        );
        awaited.set(sequence, arrival);
      }
      return arrival;
    },
  };
}
