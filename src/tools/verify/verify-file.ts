import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImportedEvent } from '../../log/import-events.ts';
import { nodeSha256 } from '../../mls/suite-node.ts';
import { foldEvents } from '../../projections/fold-events.ts';
import { openTablesFile } from '../../projections/store/tables-file.ts';
import { equalBytes, toBase64Url, toHex } from '../../wire/bytes.ts';
import type { GroupHeader, HeadItem, LogHeader } from '../export/format.ts';
import { type OpenExport, readExport } from '../export/read-export.ts';
import type { Progress } from '../progress.ts';
import { ToolError } from '../tool-error.ts';
import { count } from '../words.ts';
import { createGroupCheck } from './check-group.ts';
import { checkGroups } from './check-tables.ts';
import { createEventSource } from './event-source.ts';
import { Found, type VerifyReport } from './report.ts';
import { differenceOf, groupsLine, logLine } from './verify-server.ts';

const BATCH_EVENTS = 256;

export interface VerifyFileOptions {
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly name: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Checks an export by itself: that it is whole; of a log, that its events fold to the heads in it; of a group, that its
 * entries give the heads beside them.
 *
 * @throws ToolError `damaged-file` when it is no export at all; the signal's reason
 */
export async function verifyFile(options: VerifyFileOptions): Promise<VerifyReport> {
  const opened = await readExport(options.pieces, options.name);
  try {
    const { header } = opened;
    const lines =
      header.kind === 'log' ? await checkLog(opened, header, options) : await checkGroup(opened, header, options);
    return { kind: 'clean', lines };
  } catch (error) {
    options.signal?.throwIfAborted(); // what was not read any more is no difference
    const found = differenceOf(error);
    if (found !== undefined) return found;
    if (error instanceof ToolError && error.code === 'damaged-file') {
      return { kind: 'different', where: 'file', detail: error.message };
    }
    throw error;
  } finally {
    options.progress.end();
  }
}

async function checkGroup(
  { items }: OpenExport,
  header: GroupHeader,
  { progress }: VerifyFileOptions,
): Promise<string[]> {
  const check = createGroupCheck(header.group, nodeSha256, header.after);
  for await (const item of items) {
    if (item.kind !== 'entry') throw new Found('file', `it has an item of kind ${item.kind} where entries belong`);
    const [position, head, bytes] = item.entry;
    const problem = check.add({ position, head, bytes });
    if (problem !== undefined) throw new Found('entries', problem);
    progress.report('checking entries', position, header.last);
  }
  if (check.position !== header.last)
    throw new Found('entries', `${check.position} are there, ${header.last} belong there`);
  const group = `group ${toBase64Url(header.group)}: ${count(check.position - (header.after?.position ?? 0), 'entry', 'entries')}`;
  return [`${group}, epoch ${check.epoch}, head ${toHex(check.head)}`];
}

async function checkLog(opened: OpenExport, header: LogHeader, options: VerifyFileOptions): Promise<string[]> {
  const { progress, signal } = options;
  const { last, headsAt } = header;
  if (headsAt > last) throw new Found('file', `its heads are after event ${headsAt}, and it ends at ${last}`);
  const heads: HeadItem[] = [];
  const source = createEventSource(eventsOf(opened, heads));
  const work = await mkdtemp(join(tmpdir(), 'mlsd-verify-'));
  try {
    const fold = (to: number) =>
      foldEvents({
        dir: work,
        last: to,
        events: source.upTo(to),
        onProgress: ({ sequence }) => progress.report('folding the log', sequence, last),
        ...(signal === undefined ? {} : { signal }),
      });
    await fold(headsAt);
    const standing = headsAt === 0 ? [] : await headsIn(work);
    if (last > headsAt) await fold(last);
    await source.end();
    compareHeads(standing, heads);
    const tables = await openTablesFile(work);
    if (tables.kind !== 'tables') throw new Error('the tables that were just made cannot be opened');
    await using file = tables.file;
    const counts = await checkGroups(file, { progress, signal });
    const held = headsAt === 0 ? 'none in the file' : `${heads.length}, as the events up to ${headsAt} give them`;
    return [logLine(source, last), `heads: ${held}`, groupsLine(counts)];
  } finally {
    await source.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** The events as batches; the heads that follow them are put aside. */
async function* eventsOf({ items }: OpenExport, heads: HeadItem[]) {
  let batch: ImportedEvent[] = [];
  for await (const item of items) {
    if (item.kind === 'head') heads.push(item.head);
    else if (item.kind === 'entry' || heads.length > 0)
      throw new Found('file', `it has an ${item.kind} where none belongs`);
    else {
      const [sequence, , subject, eventId, bytes] = item.event;
      batch.push({ sequence, subject, eventId, bytes });
    }
    if (batch.length < BATCH_EVENTS && heads.length === 0) continue;
    if (batch.length > 0) yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function headsIn(dir: string): Promise<readonly HeadItem[]> {
  const tables = await openTablesFile(dir);
  if (tables.kind !== 'tables') throw new Error('the tables that were just made cannot be opened');
  await using file = tables.file;
  return file.standing().heads.map(({ group, position, hash }) => [group, position, hash]);
}

function compareHeads(folded: readonly HeadItem[], inFile: readonly HeadItem[]): void {
  const expected = new Map(folded.map((head) => [toBase64Url(head[0]), head]));
  for (const [group, position, hash] of inFile) {
    const id = toBase64Url(group);
    const head = expected.get(id);
    if (head === undefined) throw new Found('heads', `the file has a head of group ${id}, the events no such group`);
    if (head[1] !== position || !equalBytes(head[2], hash)) {
      const [there, here] = [
        `position ${position}, head ${toHex(hash)}`,
        `position ${head[1]}, head ${toHex(head[2])}`,
      ];
      throw new Found('heads', `group ${id}: ${there} in the file; ${here} by its events`);
    }
    expected.delete(id);
  }
  for (const id of expected.keys()) throw new Found('heads', `the head of group ${id} is missing in the file`);
}
