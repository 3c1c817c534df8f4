import { type Backoff, backoffMs, wait } from '../log/backoff.ts';
import { LogError } from '../log/errors.ts';
import { ProjectionError } from './errors.ts';
import type { FoldRun } from './fold-run.ts';
import type { OnPublished } from './projector.ts';
import type { DiscardReason } from './store/environment.ts';

/** Between a failure and the next start; from the beginning again once a start has caught up. */
const RESTART: Backoff = { firstMs: 100, maxMs: 30_000 };

/** What is done about a fold that stopped by itself: `resume` goes on with the same tables, `rebuild` makes them anew. */
export type Remedy = 'resume' | 'rebuild';

export interface KeepFoldingOptions {
  readonly first: FoldRun;
  /** Opens new tables in the place of those that were found to be of no use. */
  readonly replace: (reason: DiscardReason, spoilt: FoldRun) => Promise<FoldRun>;
  readonly onPublished: OnPublished;
  /** Whether a fold ever came as far as the log: before that, tables that cannot be written are told, not waited for. */
  readonly hasCaughtUp: () => boolean;
  readonly onInterrupted: (error: Error, remedy: Remedy) => void;
  readonly onRestarted: (run: FoldRun, remedy: Remedy) => void;
  /** Ends the folding, after the run was asked to end. */
  readonly signal: AbortSignal;
}

/**
 * Folds, and after what passes (a disk that was full) or can be made anew (a damaged row) folds again, however often it takes: by
 * itself, with growing pauses.
 *
 * @returns the last run, still open, and what nothing can be done about; nothing when it was asked to end
 */
export async function keepFolding(
  options: KeepFoldingOptions,
): Promise<{ readonly run: FoldRun; readonly failure?: Error }> {
  const { first, signal, hasCaughtUp, onInterrupted, onRestarted } = options;
  let run = first;
  let attempt = 0;
  const onPublished: OnPublished = (draft, standing) => {
    if (standing.sequence >= run.tail) attempt = 0;
    options.onPublished(draft, standing);
  };
  for (;;) {
    if (signal.aborted) return { run };
    const stopped = await run.fold(onPublished);
    const error = run.damage ?? stopped;
    if (error === undefined || signal.aborted) return { run };
    const remedy = remedyFor(error, hasCaughtUp());
    if (remedy === undefined) return { run, failure: error };
    onInterrupted(error, remedy);
    let reason: DiscardReason | undefined;
    for (let isStarted = false; !isStarted; ) {
      try {
        await wait(backoffMs(RESTART, attempt), signal);
        attempt += 1;
        reason ??= uselessBecause(run);
        if (reason === undefined) await run.readOn();
        else run = await options.replace(reason, run);
        isStarted = true;
      } catch (failure) {
        if (signal.aborted) return { run };
        // the tables were found to be damaged meanwhile: that ended what was tried, and is a reason to make them anew
        if (run.damage !== undefined && reason === undefined) continue;
        if (!mayPass(failure)) return { run, failure: failure as Error };
      }
    }
    onRestarted(run, reason === undefined ? 'resume' : 'rebuild');
  }
}

/** Why the tables cannot be gone on with; `undefined` when they can. */
function uselessBecause({ damage, tables }: FoldRun): DiscardReason | undefined {
  if (damage !== undefined) return 'damaged';
  return tables.isWhole() ? undefined : 'torn';
}

function remedyFor(error: Error, hasCaughtUp: boolean): Remedy | undefined {
  if (!(error instanceof ProjectionError)) return undefined;
  if (error.code === 'damaged') return 'rebuild';
  return error.code === 'store-failed' && hasCaughtUp ? 'resume' : undefined;
}

function mayPass(failure: unknown): boolean {
  if (failure instanceof LogError) return failure.retryable;
  if (failure instanceof ProjectionError) return failure.code === 'store-failed';
  // of the file system, while the files are made anew: no room, no descriptor
  return failure instanceof Error && 'syscall' in failure;
}
