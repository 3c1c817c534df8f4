import type { LogEntry } from '../log/reader.ts';
import { ProjectionError } from './errors.ts';
import type { FoldRules } from './fold/fold-event.ts';
import { type OnPublished, runProjector } from './projector.ts';
import { checkBeside } from './store/check-tables.ts';
import { type CheckpointRow, type DiscardReason, openEnvironment } from './store/environment.ts';
import { type Standing, Tables } from './store/tables.ts';

/** What the projections need of the log; a `Log` has it. */
export interface ProjectionLog {
  /** @throws LogError `rolled-back`, `incarnation-changed`, … when the checkpoint is not of this log */
  read(options: { readonly checkpoint?: Standing; readonly signal?: AbortSignal }): Promise<LogBatches>;
}

/** The log in order from where the reader was opened; `tail` is where it ended then. */
type LogBatches = AsyncIterable<readonly LogEntry[]> & { readonly tail: number };

/** Opened tables that the log is folded into, from where they stand. */
export interface FoldRun {
  readonly tables: Tables;
  /** Why tables that were there were thrown away. */
  readonly discarded?: DiscardReason;
  /** Sequence of the log's last event when the reading began. */
  readonly tail: number;
  /** The first damage that anybody met in these tables; nothing is to be read from them any more. */
  readonly damage: ProjectionError | undefined;
  /** The last event that anything was served from, of these tables or those before them. */
  readonly farthest: CheckpointRow;
  /** Settles when every row has been read once, or nothing comes of it any more. */
  readonly checked: Promise<void>;
  /** Folds until it is asked to end or something stops it. @returns what stopped it: as {@link runProjector} throws */
  fold(onPublished: OnPublished): Promise<Error | undefined>;
  /** Reads the log once more from where the tables stand, to {@link fold} again. @throws as the log's reader does */
  readOn(): Promise<void>;
  /** Ends what runs beside, and closes the tables; after {@link fold} has settled. */
  close(): Promise<void>;
}

export interface OpenRunOptions {
  readonly dir: string;
  readonly contract: string;
  readonly log: ProjectionLog;
  readonly rules: FoldRules;
  readonly fresh?: boolean;
  /** What this process found the tables to be; they are made anew. */
  readonly found?: { readonly reason: DiscardReason; readonly checkpoint: CheckpointRow };
  /** Told once, at once. */
  readonly onDamage: (damage: ProjectionError) => void;
  /** Ends what waits for the log, and a fold that runs. */
  readonly signal: AbortSignal;
}

/** @throws ProjectionError `store-failed`; LogError as the log's reader does, also when the log is not the one of the tables, `aborted` */
export async function openFoldRun(options: OpenRunOptions): Promise<FoldRun> {
  const { contract, log, rules, onDamage, signal } = options;
  const environment = await openEnvironment(options);
  const { discarded, formerCheckpoint, onChecked } = environment;
  const checkStop = new AbortController();
  let stop = new AbortController();
  let damage: ProjectionError | undefined;
  const spoil = (found: ProjectionError): void => {
    if (damage !== undefined) return;
    damage = found;
    checkStop.abort();
    stop.abort(found);
    onDamage(found);
  };
  const end = (): void => stop.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const tables = new Tables(environment, contract, spoil);
  const readOn = async () => {
    const { standing } = tables;
    const checkpoint = standing.sequence === 0 ? {} : { checkpoint: standing };
    return await log.read({ ...checkpoint, signal: stop.signal });
  };
  const check = async (): Promise<void> => {
    if (onChecked === undefined) return;
    try {
      if (await checkBeside(environment.db, checkStop.signal)) await onChecked();
      else spoil(new ProjectionError('damaged', 'the tables are not what was written'));
    } catch (error) {
      if (!checkStop.signal.aborted)
        spoil(new ProjectionError('damaged', 'the tables cannot be read', { cause: error }));
    }
  };
  try {
    if (formerCheckpoint !== undefined) await checkFormer(log, formerCheckpoint, stop.signal);
    let reader = await readOn();
    const checked = check();
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      signal.removeEventListener('abort', end);
      checkStop.abort();
      await checked;
      await tables.close();
    };
    return {
      tables,
      ...(discarded === undefined ? {} : { discarded }),
      checked,
      get tail() {
        return reader.tail;
      },
      get damage() {
        return damage;
      },
      get farthest() {
        const { checkpoint } = tables;
        return (formerCheckpoint?.sequence ?? 0) > checkpoint.sequence ? formerCheckpoint! : checkpoint;
      },
      async fold(onPublished) {
        try {
          await runProjector({ tables, rules, reader, stop, onPublished });
          return undefined;
        } catch (error) {
          return error as Error;
        }
      },
      async readOn() {
        stop = new AbortController();
        reader = await readOn();
      },
      close() {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    signal.removeEventListener('abort', end);
    stop.abort();
    await tables.close();
    throw error;
  }
}

/** Tables of another fold cannot be kept, but what they stood on still tells whether the log has gone back since. */
export async function checkFormer(
  log: ProjectionLog,
  { incarnation, sequence, eventId }: Standing,
  signal?: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  try {
    await log.read({ checkpoint: { incarnation, sequence, eventId }, signal: either });
  } finally {
    done.abort();
  }
}
