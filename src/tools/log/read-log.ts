import type { RawEvent } from '../../log/raw-events.ts';
import type { Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';

export interface TailOptions {
  /** How many events from the end of the log to begin with. */
  readonly lines: number;
  /** Go on with what is appended, until the site's signal fires. */
  readonly follow: boolean;
}

/** The last events of a log, in order. @throws ToolError `no-data` when there is no log; LogError */
export async function* tailLog(site: Site, { lines, follow }: TailOptions): AsyncGenerator<RawEvent> {
  const log = await site.openLog();
  const { stream } = await log.report();
  if (stream === undefined) throw new ToolError('no-data', 'there is no log yet');
  const { firstSequence, lastSequence } = stream;
  const from = Math.max(firstSequence, 1, lastSequence - lines + 1);
  const { signal } = site.options;
  const range = { from, ...(follow ? {} : { to: lastSequence }), ...(signal === undefined ? {} : { signal }) };
  for await (const batch of log.events(range)) yield* batch;
}

/** One event of a log. @throws ToolError `not-found`, `no-data`; LogError */
export async function eventAt(site: Site, sequence: number): Promise<RawEvent> {
  const log = await site.openLog();
  const { stream } = await log.report();
  if (stream === undefined) throw new ToolError('no-data', 'there is no log yet');
  if (sequence < stream.firstSequence || sequence > stream.lastSequence) {
    throw new ToolError('not-found', `the log holds the events ${stream.firstSequence} to ${stream.lastSequence}`);
  }
  for await (const [event] of log.events({ from: sequence, to: sequence })) if (event !== undefined) return event;
  throw new ToolError('not-found', `event ${sequence} cannot be read`);
}
