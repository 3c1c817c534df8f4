import type { LogEntry } from '../log/reader.ts';
import type { Sha256 } from '../wire/ids.ts';
import { type CursorSeal, createCursorSeal } from './cursor-seal.ts';
import { ProjectionError } from './errors.ts';
import { nodeSha256 } from './fold/chain.ts';
import type { FoldRules } from './fold/fold-event.ts';
import { createMlsHandshakes, type Handshakes } from './fold/handshakes.ts';
import { runProjector } from './projector.ts';
import type { Readiness, ReadModel } from './read-model.ts';
import { createReadModel } from './reads/create-read-model.ts';
import { createRecentBatches } from './recent-batches.ts';
import { createSequenceWaiters, withResolvers } from './sequence-waiters.ts';
import { type DiscardReason, openEnvironment } from './store/environment.ts';
import { type Standing, Tables } from './store/tables.ts';
import { createWatchers } from './watchers.ts';

/** Counts up with every change of what the fold makes of the same events. Tables of another number are made anew. */
export const TABLES_CONTRACT = '2';

/** What the projections need of the log; a `Log` has it. */
export interface ProjectionLog {
  /** @throws LogError `rolled-back`, `incarnation-changed`, … when the checkpoint is not of this log */
  read(options: { readonly checkpoint?: Standing; readonly signal?: AbortSignal }): Promise<LogBatches>;
}

/** The log in order from where the reader was opened; `tail` is where it ended then. */
type LogBatches = AsyncIterable<readonly LogEntry[]> & { readonly tail: number };

export interface ProjectionsOptions {
  /** Folder of the tables, made when it is not there. One process at a time; not on a network file system. */
  readonly dir: string;
  readonly log: ProjectionLog;
  /** Seals cursors: 32 bytes, the same on all nodes of a domain. */
  readonly cursorKey: Uint8Array;
  readonly sha256?: Sha256;
  readonly handshakes?: Handshakes;
  /** Throws tables that are there away and folds the log from its beginning. */
  readonly fresh?: boolean;
  /** Called once, when the projector stopped by itself. */
  readonly onFailure?: (error: Error) => void;
  /** Called after every batch. */
  readonly onProgress?: (progress: { readonly sequence: number; readonly tail: number }) => void;
}

/** The running projections of one node. */
export interface Projections extends AsyncDisposable {
  readonly read: ReadModel;
  /** Resolves when all is folded that the log held at the start; rejects when the projector stops before. */
  readonly ready: Promise<void>;
  /** Why tables that were there were thrown away. */
  readonly discarded?: DiscardReason;
  /** Hex SHA-256 over all tables: equal on every node that folded the same events. */
  dumpTables(): string;
  close(): Promise<void>;
}

/**
 * Opens the tables and starts folding the log into them, from where they stand.
 *
 * @example
 * ```ts
 * await using projections = await openProjections({ dir, log, cursorKey });
 * await projections.ready;
 * projections.read.syncPage(device, 'start', { maxEntries: 100, maxBytes: 1 << 20 });
 * ```
 * @throws ProjectionError `store-failed`; the log's own error when the checkpoint is not of this log (`rolled-back`,
 *   `incarnation-changed`): nothing is served then, and whoever accepts it opens again with `fresh`
 */
export async function openProjections(options: ProjectionsOptions): Promise<Projections> {
  const { dir, log, sha256 = nodeSha256 } = options;
  const seal = createCursorSeal(options.cursorKey);
  const contract = TABLES_CONTRACT;
  const environment = await openEnvironment({ dir, contract, fresh: options.fresh ?? false });
  const tables = new Tables(environment, contract);
  const stop = new AbortController();
  try {
    if (environment.formerCheckpoint !== undefined) await checkFormer(log, environment.formerCheckpoint);
    const { standing } = tables;
    const checkpoint = standing.sequence === 0 ? {} : { checkpoint: standing };
    const reader = await log.read({ ...checkpoint, signal: stop.signal });
    const handshakes = options.handshakes ?? createMlsHandshakes(sha256);
    const rules = { handshakes, sha256 };
    const running = run(options, { tables, reader, stop, seal, rules });
    const { discarded } = environment;
    return { ...running, ...(discarded === undefined ? {} : { discarded }) };
  } catch (error) {
    stop.abort();
    await tables.close();
    throw error;
  }
}

/** Tables of another fold cannot be kept, but what they stood on still tells whether the log has gone back since. */
export async function checkFormer(log: ProjectionLog, { incarnation, sequence, eventId }: Standing): Promise<void> {
  const done = new AbortController();
  try {
    await log.read({ checkpoint: { incarnation, sequence, eventId }, signal: done.signal });
  } finally {
    done.abort();
  }
}

interface Parts {
  readonly tables: Tables;
  readonly reader: LogBatches;
  readonly stop: AbortController;
  readonly seal: CursorSeal;
  readonly rules: FoldRules;
}

function run(options: ProjectionsOptions, { tables, reader, stop, seal, rules }: Parts): Projections {
  const { tail } = reader;
  const waiters = createSequenceWaiters(tables.standing.sequence);
  const watchers = createWatchers();
  const recent = createRecentBatches();
  const ready = withResolvers();
  ready.promise.catch(() => {}); // whoever does not wait for it hears of the failure from `onFailure` and `readiness`
  let caughtUp = false;
  let failure: Error | undefined;

  const reach = (sequence: number): void => {
    waiters.reach(sequence);
    if (caughtUp || sequence < tail) return;
    caughtUp = true;
    ready.resolve();
  };
  const halt = (error: Error): void => {
    failure = error;
    waiters.fail(error);
    ready.reject(error);
    watchers.wakeAll();
  };
  const projector = runProjector({
    tables,
    rules,
    reader,
    stop,
    onPublished(draft, { sequence }) {
      recent.add(draft.batches);
      reach(sequence);
      watchers.notify(draft);
      options.onProgress?.({ sequence, tail });
    },
  }).catch((error: Error) => {
    halt(error);
    options.onFailure?.(error);
  });
  reach(tables.standing.sequence);

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stop.abort();
    await projector;
    if (failure === undefined) halt(new ProjectionError('closed', 'the projections were closed'));
    await tables.close();
  };
  const closeOnce = (): Promise<void> => {
    closing ??= close();
    return closing;
  };
  return {
    read: createReadModel({
      tables,
      seal,
      waiters,
      watchers,
      recent,
      readiness: () => readinessOf(failure, caughtUp, tables, tail),
    }),
    ready: ready.promise,
    dumpTables: () => tables.dump(),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

function readinessOf(failure: Error | undefined, caughtUp: boolean, tables: Tables, tail: number): Readiness {
  if (failure !== undefined) {
    const code = 'code' in failure ? String(failure.code) : 'failed';
    return { ready: false, reasons: [`projections stopped at sequence ${tables.standing.sequence}: ${code}`] };
  }
  if (caughtUp) return { ready: true };
  return { ready: false, reasons: [`projections are at sequence ${tables.standing.sequence} of ${tail}`] };
}
