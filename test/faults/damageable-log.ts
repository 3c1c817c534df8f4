import * as fc from 'fast-check';
import type { LogEvent } from '../../src/log/events.ts';
import { largeLog } from '../projections/builders.ts';
import { randomLog } from '../projections/random-log.ts';

const LOG_SEED = 20_261_122;

/** `small`: of some dozens of pages, all read before they are used. `large`: of more rows than that. */
export type Size = 'small' | 'large';

/** Always the same events, of every kind that there is in the small one, for tables of a size. */
export function damageableLog(size: Size): LogEvent[] {
  return size === 'small' ? smallLog() : largeLog();
}

function smallLog(): LogEvent[] {
  const histories = fc.sample(randomLog, { seed: LOG_SEED, numRuns: 30 });
  return histories.reduce((longest, events) => (events.length > longest.length ? events : longest));
}
