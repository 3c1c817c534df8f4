import { join } from 'node:path';
import { LogError } from '../../log/errors.ts';
import type { LogReport } from '../../log/inspect-log.ts';
import { compareTables } from '../../projections/compare-tables.ts';
import { ProjectionError } from '../../projections/errors.ts';
import { foldEvents } from '../../projections/fold-events.ts';
import { openTablesFile, type TablesFile } from '../../projections/store/tables-file.ts';
import type { Progress } from '../progress.ts';
import type { Site } from '../site.ts';
import { count } from '../words.ts';
import { checkGroups } from './check-tables.ts';
import { createEventSource, type EventSource } from './event-source.ts';
import { Found, type VerifyReport } from './report.ts';

/**
 * Holds log, tables, heads and epochs of a server against each other: every event of the log is checked and folded anew,
 * every stored row is compared with what the fold makes, every group's chain is computed again. Nothing is changed.
 *
 * @throws ToolError, LogError when it could not be checked at all; the signal's reason
 */
export async function verifyServer(site: Site, progress: Progress): Promise<VerifyReport> {
  try {
    return { kind: 'clean', lines: await verify(site, progress) };
  } catch (error) {
    site.options.signal?.throwIfAborted(); // what was not read any more is no difference
    const found = differenceOf(error);
    if (found === undefined) throw error;
    return found;
  } finally {
    progress.end();
  }
}

/** A failure that says something about what is stored, rather than about getting at it. */
export function differenceOf(error: unknown): VerifyReport | undefined {
  if (error instanceof Found) return error.report;
  const isOfLog =
    error instanceof LogError && ['gap', 'invalid-event', 'unknown-event', 'log-unsafe'].includes(error.code);
  if (isOfLog) return { kind: 'different', where: 'log', detail: error.message };
  const isOfFold =
    error instanceof ProjectionError && ['fold-failed', 'invalid-event', 'unknown-event', 'gap'].includes(error.code);
  return isOfFold ? { kind: 'different', where: 'log', detail: error.message } : undefined;
}

async function verify(site: Site, progress: Progress): Promise<string[]> {
  // The tables first: whatever they stand on is in the log that is looked at afterwards.
  const stored = await site.openTables();
  const log = await site.openLog();
  const { stream } = await log.report();
  const checkpoint = stored.kind === 'tables' ? stored.file.standing().checkpoint : undefined;
  if (stream === undefined) {
    if (checkpoint === undefined) return ['log: none yet', 'tables: none yet'];
    throw new Found('log', `there is none, and the tables stand on event ${checkpoint.sequence}`);
  }
  checkStream(stream);
  const { signal } = site.options;
  const last = stream.lastSequence;
  const at = checkpoint?.sequence ?? 0;
  if (at > last) throw new Found('log', `it ends at event ${last}, and the tables stand on event ${at}`);
  const source = createEventSource(log.events({ from: 1, to: last, ...(signal === undefined ? {} : { signal }) }));
  try {
    const dir = join(await site.workFolder(), 'folded');
    const fold = (to: number): Promise<void> => foldNext({ dir, source, to, last, progress, signal });
    await fold(at);
    const tables =
      stored.kind === 'tables' ? await compare(site, stored.file, dir, source, progress) : noTables(stored);
    if (last > at) await fold(last);
    if (last === 0) return ['log: empty', tables];
    const folded = await openTablesFile(dir);
    if (folded.kind !== 'tables') throw new Error('the tables that were just made cannot be opened');
    await using file = folded.file;
    const counts = await checkGroups(file, { progress, signal });
    return [logLine(source, last), tables, groupsLine(counts)];
  } finally {
    await source.close();
  }
}

function checkStream(stream: NonNullable<LogReport['stream']>): void {
  const { firstSequence, lastSequence, unsafe } = stream;
  if (unsafe.length > 0) throw new Found('log', `the stream cannot be a log: ${unsafe.join(', ')}`);
  if (lastSequence > 0 && firstSequence !== 1) throw new Found('log', `it begins at event ${firstSequence}, not at 1`);
}

interface FoldStep {
  readonly dir: string;
  readonly source: EventSource;
  readonly to: number;
  readonly last: number;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

async function foldNext({ dir, source, to, last, progress, signal }: FoldStep): Promise<void> {
  await foldEvents({
    dir,
    last: to,
    events: source.upTo(to),
    onProgress: ({ sequence }) => progress.report('folding the log', sequence, last),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function compare(
  site: Site,
  stored: TablesFile,
  dir: string,
  source: EventSource,
  progress: Progress,
): Promise<string> {
  const { checkpoint } = stored.standing();
  if (checkpoint === undefined) return 'tables: empty; the server folds the log into them at its next start';
  if (checkpoint.eventId !== source.eventId) {
    const { sequence } = checkpoint;
    throw new Found(
      'tables',
      `they stand on ${checkpoint.eventId} at ${sequence}; the log has ${source.eventId} there`,
    );
  }
  const opened = await openTablesFile(dir);
  if (opened.kind !== 'tables') throw new Error('the tables that were just made cannot be opened');
  await using folded = opened.file;
  if (folded.standing().checkpoint?.contract !== checkpoint.contract) {
    return 'tables: made by another version of the program, not compared; the server makes them anew at its next start';
  }
  if (checkpoint.incarnation !== source.incarnation) {
    throw new Found('tables', `they are of incarnation ${checkpoint.incarnation}, the log of ${source.incarnation}`);
  }
  const { signal } = site.options;
  const total = Math.max(stored.rowCount, folded.rowCount);
  const compared = await compareTables(folded, stored, {
    onProgress: (rows) => progress.report('comparing rows', rows, total),
    ...(signal === undefined ? {} : { signal }),
  });
  if (compared.kind === 'different')
    throw new Found('tables', `${compared.difference.row}: ${compared.difference.detail}`);
  return `tables: ${count(compared.rows, 'row')} at event ${checkpoint.sequence}, each as the log says`;
}

function noTables(stored: { readonly kind: 'none' } | { readonly kind: 'damaged'; readonly reason: string }): string {
  if (stored.kind === 'none') return 'tables: none; the server makes them from the log at its next start';
  throw new Found('tables', `${stored.reason}; mlsd rebuild makes them anew`);
}

/** `log: 120 events, each in its one form and on its lane, without a gap (3 commit-accepted, …)` */
export function logLine(source: EventSource, last: number): string {
  const types = [...source.counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, n]) => `${n} ${type}`);
  return `log: ${count(last, 'event')}, each in its one form, on its lane, without a gap (${types.join(', ')})`;
}

/** `groups: 3 groups with 40 entries and 7 accepted commits: …` */
export function groupsLine(counts: {
  readonly groups: number;
  readonly entries: number;
  readonly commits: number;
}): string {
  const { groups, entries, commits } = counts;
  const held = 'positions dense, heads as the entries give them, one commit an epoch';
  return `groups: ${groups} with ${count(entries, 'entry', 'entries')} and ${count(commits, 'accepted commit')}: ${held}`;
}
