import type { Sha256 } from '../wire/ids.ts';
import { createCursorSeal } from './cursor-seal.ts';
import { ProjectionError } from './errors.ts';
import { nodeSha256 } from './fold/chain.ts';
import { createMlsHandshakes, type Handshakes } from './fold/handshakes.ts';
import { type FoldRun, type OpenRunOptions, openFoldRun, type ProjectionLog } from './fold-run.ts';
import { keepFolding, type Remedy } from './keep-folding.ts';
import type { Readiness, ReadModel, Restarts } from './read-model.ts';
import { createReadModel } from './reads/create-read-model.ts';
import { createSwitchedReadModel } from './reads/switched-read-model.ts';
import { createRecentBatches } from './recent-batches.ts';
import { createSequenceWaiters, withResolvers } from './sequence-waiters.ts';
import type { DiscardReason } from './store/environment.ts';
import { createWatchers } from './watchers.ts';

/** Counts up with every change of what the fold makes of the same events. Tables of another number are made anew. */
export const TABLES_CONTRACT = '2';

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
  /** Called once, when the projector stopped by itself and does not start again. */
  readonly onFailure?: (error: Error) => void;
  /** Called whenever it stopped and will start again by itself. */
  readonly onInterruption?: (error: Error, remedy: Remedy) => void;
  /** Called after every batch. */
  readonly onProgress?: (progress: { readonly sequence: number; readonly tail: number }) => void;
  /** Gives up what is not ready yet: the opening fails, or `ready`. Once it is ready, without effect. */
  readonly signal?: AbortSignal;
}

/** The running projections of one node. */
export interface Projections extends AsyncDisposable {
  readonly read: ReadModel;
  /** Resolves when all is folded that the log held at the start; rejects when the projector stops before. */
  readonly ready: Promise<void>;
  /** Settles when every row of the tables now in use was held against its checksum once, or they were found to be damaged. */
  readonly checked: Promise<void>;
  /** Why tables that were there at the opening were thrown away. */
  readonly discarded?: DiscardReason;
  /** Hex SHA-256 over all tables: equal on every node that folded the same events. */
  dumpTables(): string;
  close(): Promise<void>;
}

/**
 * Opens the tables and starts folding the log into them, from where they stand. Tables that turn out to be damaged while they
 * are in use are made anew, and a fold that could not write goes on once it can: nothing is read meanwhile that is not right.
 *
 * @example
 * ```ts
 * await using projections = await openProjections({ dir, log, cursorKey });
 * await projections.ready;
 * projections.read.syncPage(device, 'start', { maxEntries: 100, maxBytes: 1 << 20 });
 * ```
 * @throws ProjectionError `store-failed`; the log's own error when the checkpoint is not of this log (`rolled-back`,
 *   `incarnation-changed`): nothing is served then, and whoever accepts it opens again with `fresh`; `aborted`
 */
export async function openProjections(options: ProjectionsOptions): Promise<Projections> {
  const { dir, log, sha256 = nodeSha256 } = options;
  const seal = createCursorSeal(options.cursorKey);
  const waiters = createSequenceWaiters(0);
  const watchers = createWatchers();
  const ready = withResolvers();
  ready.promise.catch(() => {}); // whoever does not wait for it hears of the failure from `onFailure` and `readiness`
  const closing = new AbortController();
  let state: State = { kind: 'folding', caughtUp: false };
  let hasCaughtUp = false;
  /** Over tables that take the place of others, until these have come as far as the log. */
  let isPartial = false;
  let restarts: Restarts = { resumed: 0, rebuilt: 0 };

  const interrupt = (error: Error): void => {
    waiters.fail(error);
    watchers.wakeAll();
  };
  const giveUpOn = options.signal;
  const giveUp = (): void => closing.abort();
  giveUpOn?.addEventListener('abort', giveUp, { once: true });
  if (giveUpOn?.aborted === true) giveUp();
  const rules = { handshakes: options.handshakes ?? createMlsHandshakes(sha256), sha256 };
  const open = (how: Pick<OpenRunOptions, 'fresh' | 'found'>): Promise<FoldRun> =>
    openFoldRun({ dir, contract: TABLES_CONTRACT, log, rules, onDamage: interrupt, signal: closing.signal, ...how });
  const readRun = () => {
    const recent = createRecentBatches();
    const model = createReadModel({ tables: run.tables, seal, waiters, watchers, recent, readiness });
    return { recent, model };
  };
  const reach = (sequence: number): void => {
    waiters.reach(sequence);
    if (state.kind !== 'folding' || state.caughtUp || sequence < run.tail || run.damage !== undefined) return;
    state = { kind: 'folding', caughtUp: true };
    hasCaughtUp = true;
    isPartial = false;
    giveUpOn?.removeEventListener('abort', giveUp);
    ready.resolve();
  };
  const begin = (): void => {
    state = { kind: 'folding', caughtUp: false };
    const { sequence } = run.tables.standing;
    waiters.resume(sequence);
    reach(sequence);
  };
  const readiness = (): Readiness => readinessOf(state, run, isPartial);

  let run = await open({ fresh: options.fresh ?? false });
  const { discarded } = run;
  let { recent, model } = readRun();
  begin();
  const kept = keepFolding({
    first: run,
    signal: closing.signal,
    hasCaughtUp: () => hasCaughtUp,
    async replace(reason, spoilt) {
      await spoilt.close();
      return await open({ found: { reason, checkpoint: spoilt.farthest } });
    },
    onPublished(draft, { sequence }) {
      recent.add(draft.batches);
      reach(sequence);
      watchers.notify(draft);
      options.onProgress?.({ sequence, tail: run.tail });
    },
    onInterrupted(error, remedy) {
      state = { kind: 'interrupted', error };
      interrupt(error);
      options.onInterruption?.(error, remedy);
    },
    onRestarted(next, remedy) {
      const { resumed, rebuilt } = restarts;
      restarts = remedy === 'resume' ? { resumed: resumed + 1, rebuilt } : { resumed, rebuilt: rebuilt + 1 };
      run = next;
      if (remedy === 'rebuild') {
        isPartial = true;
        ({ recent, model } = readRun());
      }
      begin();
    },
  });
  const halt = (error: Error): void => {
    state = { kind: 'stopped', error };
    interrupt(error);
    ready.reject(error);
  };
  const stopped = kept.then(({ run: last, failure }) => {
    run = last;
    if (failure === undefined) return halt(new ProjectionError('closed', 'the projections were closed'));
    halt(failure);
    options.onFailure?.(failure);
  });

  const readable = (): ReadModel => {
    if (run.damage === undefined && !isPartial) return model;
    throw new ProjectionError('rebuilding', 'the tables were damaged, and are being made anew');
  };
  /** What stopped for good shows nothing new any more: who reads on, as a live stream does, has to hear of it. */
  const current = (): ReadModel => {
    const present = readable();
    if (state.kind !== 'stopped') return present;
    throw new ProjectionError('closed', 'the projections have stopped', { cause: state.error });
  };
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closing.abort();
    await stopped;
    await run.close();
  };
  const closeOnce = (): Promise<void> => {
    closed ??= close();
    return closed;
  };
  return {
    read: createSwitchedReadModel(current, {
      checkpoint: () => model.checkpoint(),
      readiness,
      restarts: () => restarts,
      waitForSequence: (sequence, signal) => waiters.wait(sequence, signal),
      watch: (device, wake) => watchers.watch(device, wake),
    }),
    ready: ready.promise,
    get checked() {
      return run.checked;
    },
    ...(discarded === undefined ? {} : { discarded }),
    dumpTables: () => {
      readable();
      return run.tables.dump();
    },
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

type State =
  | { readonly kind: 'folding'; readonly caughtUp: boolean }
  | { readonly kind: 'interrupted'; readonly error: Error }
  | { readonly kind: 'stopped'; readonly error: Error };

function readinessOf(state: State, { tables, tail, damage }: FoldRun, isPartial: boolean): Readiness {
  const { sequence } = tables.standing;
  if (state.kind === 'folding' && damage === undefined) {
    if (state.caughtUp) return { ready: true };
    const what = isPartial ? 'the tables were damaged and are being made anew: they' : 'projections';
    return { ready: false, reasons: [`${what} are at sequence ${sequence} of ${tail}`] };
  }
  const error = state.kind === 'folding' ? damage! : state.error;
  const code = 'code' in error ? String(error.code) : 'failed';
  const next = state.kind === 'stopped' ? '' : ', and will start again by themselves';
  return { ready: false, reasons: [`projections stopped at sequence ${sequence}: ${code}${next}`] };
}
