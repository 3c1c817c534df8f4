import { DEFAULT_LIMITS } from '../wire/limits.ts';
import type { LogStarted } from './events.ts';

/**
 * How many epochs before the current one a message may be from, in a log that begins with this event. Logs that were
 * begun before it was recorded have the default of that time.
 */
export function pastEpochsOf({ pastEpochs = DEFAULT_LIMITS.pastEpochs }: LogStarted): number {
  return pastEpochs;
}
