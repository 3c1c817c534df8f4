import * as fc from 'fast-check';
import type { LogEvent } from '../../src/log/events.ts';
import { randomLog } from '../projections/random-log.ts';

const LOG_SEED = 20_261_122;

/** Always the same events, of every kind that there is, for tables of some dozens of pages. */
export function damageableLog(): LogEvent[] {
  const histories = fc.sample(randomLog, { seed: LOG_SEED, numRuns: 30 });
  return histories.reduce((longest, events) => (events.length > longest.length ? events : longest));
}
