import { openProjections } from '../../projections/open-projections.ts';
import { openTablesFile } from '../../projections/store/tables-file.ts';
import type { Progress } from '../progress.ts';
import type { Site } from '../site.ts';
import { ToolError } from '../tool-error.ts';
import { type CompactPolicy, type GroupPlan, planCompaction } from './plan.ts';
import { type Rewritten, rewriteLog } from './rewrite-log.ts';

/** What came of a compaction. */
export interface Compacted {
  readonly plans: readonly GroupPlan[];
  /**
   * - `planned`: it was only asked what would go.
   * - `kept`: entries are no longer served; their ciphertexts are in the log still, because the server runs or the log is in a
   *   cluster of others.
   * - `nothing-left`: nothing in the log was left to remove.
   * - `rewritten`: they are gone from the log as well.
   */
  readonly log:
    | { readonly kind: 'planned' | 'nothing-left' }
    | { readonly kind: 'kept'; readonly because: 'running' | 'remote' }
    | ({ readonly kind: 'rewritten' } & Rewritten);
}

/** No cursor is made of tables that only this tool has open. */
const NO_CURSOR_KEY = new Uint8Array(32);

/**
 * Ends what is served of groups by a policy, as events in the log, so that every node and every rebuild drops the same; then, of a
 * stopped server with a log of its own, removes the ciphertexts from the log.
 *
 * @throws ToolError `no-data` when there are no tables; LogError, ProjectionError
 */
export async function compact(
  site: Site,
  options: { readonly policy: CompactPolicy; readonly dryRun: boolean; readonly progress: Progress },
): Promise<Compacted> {
  const { policy, dryRun, progress } = options;
  const { signal } = site.options;
  const because = site.running ? 'running' : site.options.log.kind === 'remote' ? 'remote' : undefined;
  try {
    if (!dryRun && !site.running) await foldToEnd(site, progress);
    const plans = await plan(site, policy, signal);
    if (dryRun) return { plans, log: { kind: 'planned' } };
    const cuts = plans.flatMap((each) => each.cuts);
    if (cuts.length > 0) await (await site.openLog()).compactGroups(cuts);
    if (because !== undefined) return { plans, log: { kind: 'kept', because } };
    if (cuts.length > 0) await foldToEnd(site, progress);
    const rewritten = await rewriteLog(site, progress);
    return { plans, log: rewritten === undefined ? { kind: 'nothing-left' } : { kind: 'rewritten', ...rewritten } };
  } finally {
    progress.end();
  }
}

/** The tables as they are; of a running server a copy, so that a long look does not hold up what it writes. */
async function plan(site: Site, policy: CompactPolicy, signal: AbortSignal | undefined): Promise<readonly GroupPlan[]> {
  const opened = site.running ? await site.openTables() : await openTablesFile(site.tablesFolder);
  if (opened.kind !== 'tables') {
    const reason = opened.kind === 'none' ? 'there are none' : opened.reason;
    throw new ToolError('no-data', `what goes is read from the tables: ${reason}. mlsd rebuild makes them`);
  }
  try {
    return await planCompaction(opened.file, policy, signal);
  } finally {
    if (!site.running) await opened.file.close();
  }
}

/** Folds what the tables of a stopped server lack, as its next start would. */
async function foldToEnd(site: Site, progress: Progress): Promise<void> {
  const { signal } = site.options;
  await using projections = await openProjections({
    dir: site.tablesFolder,
    log: await site.openLog(),
    cursorKey: NO_CURSOR_KEY,
    onProgress: ({ sequence, tail }) => progress.report('folding the log', sequence, tail),
    ...(signal === undefined ? {} : { signal }),
  });
  await projections.ready;
}
