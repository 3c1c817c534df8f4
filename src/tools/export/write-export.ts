import { type NumberedHead, openTablesFile, type TablesFile } from '../../projections/store/tables-file.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import type { Progress } from '../progress.ts';
import type { Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { createExportWriter, FORMAT, type LogHeader } from './format.ts';

const SLICE_ENTRIES = 500;

/** The heads of all groups after one event. */
export interface HeadsAt {
  readonly sequence: number;
  readonly heads: readonly NumberedHead[];
}

const NO_HEADS: HeadsAt = { sequence: 0, heads: [] };

/** The heads in stored tables; none where there are no tables. */
export function headsOf(tables: TablesFile | undefined): HeadsAt {
  const { checkpoint, heads = [] } = tables?.standing() ?? { checkpoint: undefined };
  return checkpoint === undefined ? NO_HEADS : { sequence: checkpoint.sequence, heads };
}

/** The heads of a server as they are now. */
export async function currentHeads(site: Site): Promise<HeadsAt> {
  const opened = await openTablesFile(site.tablesFolder);
  if (opened.kind !== 'tables') return NO_HEADS;
  await using file = opened.file;
  return headsOf(file);
}

/**
 * The whole log as an export, in pieces of a file. `heads` are of a moment before: the log holds all they stand on.
 *
 * @throws ToolError `no-data` when there is no log; LogError `gap`, `unavailable`, …
 */
export async function* exportLog(
  site: Site,
  { sequence: headsAt, heads }: HeadsAt,
  options: { readonly progress: Progress; readonly now: number; readonly onHeader?: (header: LogHeader) => void },
): AsyncGenerator<Uint8Array> {
  const log = await site.openLog();
  const { stream } = await log.report();
  if (stream?.incarnation === undefined) throw new ToolError('no-data', 'there is no log to export yet');
  const { lastSequence: last, incarnation } = stream;
  if (headsAt > last) {
    throw new ToolError(
      'no-data',
      `the tables stand on event ${headsAt}, but the log ends at ${last}: see mlsd verify`,
    );
  }
  const { signal } = site.options;
  const writer = createExportWriter();
  const { id, domain } = incarnation;
  const header: LogHeader = {
    format: FORMAT,
    v: 1,
    kind: 'log',
    time: options.now,
    domain,
    incarnation: id,
    last,
    headsAt,
  };
  options.onHeader?.(header);
  yield writer.header(header);
  for await (const batch of log.events({ from: 1, to: last, ...(signal === undefined ? {} : { signal }) })) {
    for (const { sequence, storedAt, subject, eventId, bytes } of batch) {
      yield writer.item([sequence, storedAt, subject, eventId, bytes]);
    }
    options.progress.report('exporting the log', batch.at(-1)!.sequence, last);
  }
  signal?.throwIfAborted();
  for (const { group, position, hash } of heads) yield writer.item([group, position, hash]);
  yield writer.trailer();
}

/**
 * One group's entries as an export, from the first that is kept. They never change while they are there, so the tables may be in use.
 *
 * @throws ToolError `not-found` when there is no such group, `no-data` when there are no tables
 */
export async function* exportGroup(
  site: Site,
  idOrName: string,
  options: { readonly progress: Progress; readonly now: number },
): AsyncGenerator<Uint8Array> {
  const opened = await openTablesFile(site.tablesFolder);
  if (opened.kind !== 'tables') {
    const reason = opened.kind === 'none' ? 'there are none' : opened.reason;
    throw new ToolError('no-data', `a group is exported from the tables: ${reason}. mlsd rebuild makes them`);
  }
  await using tables = opened.file;
  const number = tables.findGroup(idOrName);
  const { checkpoint, heads } = tables.standing();
  const head = heads.find((candidate) => candidate.number === number);
  if (checkpoint === undefined || head === undefined) {
    throw new ToolError('not-found', `there is no group ${idOrName}: give its id or its name`);
  }
  const writer = createExportWriter();
  const { incarnation } = checkpoint;
  const { group, position: last } = head;
  const start = tables.logStartOf(head.number);
  const before =
    start === undefined ? undefined : { position: start.position - 1, head: start.head, epoch: start.epoch };
  const after = before === undefined ? {} : { after: before };
  yield writer.header({ format: FORMAT, v: 1, kind: 'group', time: options.now, incarnation, group, last, ...after });
  for (let next = start?.position ?? 1; next <= last; ) {
    const slice = tables.entries(head.number, next, Math.min(SLICE_ENTRIES, last - next + 1));
    for (const { position, head: after, bytes } of slice) yield writer.item([position, after, bytes]);
    if (slice.length === 0) {
      throw new ToolError('damaged-file', `entry ${next} of group ${toBase64Url(group)} is missing: see mlsd verify`);
    }
    next = slice.at(-1)!.position + 1;
    options.progress.report('exporting the group', next - 1, last);
    await new Promise((resolve) => setImmediate(resolve));
    site.options.signal?.throwIfAborted();
  }
  yield writer.trailer();
}
