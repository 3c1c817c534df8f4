import { decodeEvent, encodeEvent } from '../../log/envelope.ts';
import { type ImportedEvent, importEvents } from '../../log/import-events.ts';
import { type LogInspection, openInspection } from '../../log/inspect-log.ts';
import { dropNewStore, newStore, swapStore } from '../../log/swap-store.ts';
import { nodeSha256 } from '../../mls/suite-node.ts';
import { openTablesFile, type TablesFile } from '../../projections/store/tables-file.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import type { Progress } from '../progress.ts';
import { natsBinary, type Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { verifyServer } from '../verify/verify-server.ts';
import { type Placements, removeMessages } from './remove-messages.ts';

/** Bytes of all events, before and after. */
export interface Rewritten {
  readonly events: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Makes the log of a stopped server anew without the ciphertexts that nobody is served any more, in a store beside the old one.
 * What comes out is folded, and held against every stored row, before it takes the old one's place: killed at any moment, one
 * or the other is the log. The tables have to stand at the end of the log; they stay as they are.
 *
 * @returns `undefined` when there is nothing to remove, and nothing was touched
 * @throws ToolError `damaged-file` when the new log would give other tables; LogError
 */
export async function rewriteLog(site: Site, progress: Progress): Promise<Rewritten | undefined> {
  const { dataFolder, signal } = site.options;
  const binary = await natsBinary(site.options.log);
  const stopping = signal === undefined ? {} : { signal };
  const log = await site.openLog();
  const stored = await openTablesFile(site.tablesFolder);
  if (stored.kind !== 'tables') throw new ToolError('no-data', 'there are no tables to go by: mlsd rebuild makes them');
  await using tables = stored.file;
  const last = (await log.report()).stream?.lastSequence ?? 0;
  const placements = placementsIn(tables);
  if (!(await hasRemovable(log, last, placements, signal))) return undefined;
  const sizes = { events: 0, bytesBefore: 0, bytesAfter: 0 };
  const folder = await newStore(dataFolder);
  try {
    await importEvents({
      folder,
      binary,
      events: rewritten(log.events({ from: 1, to: last, ...stopping }), placements, sizes),
      newIncarnation: false,
      onProgress: (sequence) => progress.report('writing the log anew', sequence, last),
      ...stopping,
    });
    await using fresh = await openInspection({ kind: 'stopped', folder, binary }, signal);
    const report = await verifyServer(
      { ...site, openLog: async () => fresh, openTables: async () => ({ kind: 'tables', file: tables }) },
      progress,
    );
    if (report.kind === 'different') {
      throw new ToolError(
        'damaged-file',
        `the log was left as it is, mlsd verify first: ${report.where}: ${report.detail}`,
      );
    }
  } catch (error) {
    await dropNewStore(dataFolder);
    throw error;
  }
  // from here on nothing is taken back: the new store is whole, and the swap goes on after a crash
  await log.close();
  await swapStore(dataFolder);
  return sizes;
}

function placementsIn(tables: TablesFile): Placements {
  const starts = new Map<string, number>();
  for (const { number, group } of tables.standing().heads) {
    const start = tables.logStartOf(number);
    if (start !== undefined) starts.set(toBase64Url(group), start.position);
  }
  return {
    logStartOf: (group) => starts.get(toBase64Url(group)) ?? 1,
    positionOf: (group, device, id) => tables.messagePosition(group, device, id),
  };
}

async function hasRemovable(
  log: LogInspection,
  last: number,
  placements: Placements,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for await (const batch of log.events({ from: 1, to: last, ...(signal === undefined ? {} : { signal }) })) {
    if (batch.some(({ bytes }) => withoutMessages(bytes, placements) !== undefined)) return true;
  }
  signal?.throwIfAborted();
  return false;
}

async function* rewritten(
  events: AsyncIterable<readonly ImportedEvent[]>,
  placements: Placements,
  sizes: { events: number; bytesBefore: number; bytesAfter: number },
): AsyncGenerator<readonly ImportedEvent[]> {
  for await (const batch of events) {
    yield batch.map((event) => {
      const bytes = withoutMessages(event.bytes, placements) ?? event.bytes;
      sizes.events += 1;
      sizes.bytesBefore += event.bytes.length;
      sizes.bytesAfter += bytes.length;
      return { ...event, bytes };
    });
  }
}

function withoutMessages(bytes: Uint8Array, placements: Placements): Uint8Array | undefined {
  const event = decodeEvent(bytes);
  if (event.type !== 'messages-sent' && event.type !== 'messages-compacted') return undefined;
  const removed = removeMessages(event, placements, nodeSha256);
  return removed === undefined ? undefined : encodeEvent(removed);
}
