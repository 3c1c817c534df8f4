import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LogError } from '../log/errors.ts';
import { checkFormer } from './fold-run.ts';
import { openProjections, type Projections, type ProjectionsOptions } from './open-projections.ts';
import type { Checkpoint } from './read-model.ts';
import { storedCheckpoint } from './store/environment.ts';
import { openTablesFile } from './store/tables-file.ts';

const BESIDE = '.rebuilding';
const FILES = ['data.mdb', 'lock.mdb'];

export interface RebuildOptions extends Omit<ProjectionsOptions, 'fresh' | 'onFailure'> {
  /**
   * `swap`: put the new tables in the place of the old ones, which nobody may have open. `prepare`: leave them beside; the old
   * ones may be in use, and a later call with `swap` has only to fold what came since.
   */
  readonly finish?: 'swap' | 'prepare';
  /** Told once where the folding starts: above 0 when an interrupted call is gone on with. */
  readonly onStart?: (sequence: number) => void;
}

/**
 * Folds the whole log into new tables beside those that are there, then puts them in their place. Interrupted at any moment, by
 * `kill -9` too, it leaves the old ones as they were, and the next call goes on where this one was.
 *
 * @returns what the new tables stand on
 * @throws what the projector stops with; also when the signal fires, and the next call goes on from there; the log's own error when it is not the one that the old tables were made from:
 *   new ones would hide that it went back, and cursors of both histories would be taken
 */
export async function rebuildProjections(options: RebuildOptions): Promise<Checkpoint> {
  const beside = join(options.dir, BESIDE);
  const isSwap = options.finish !== 'prepare';
  const former = isSwap ? await storedCheckpoint(options.dir) : await checkpointInUse(options.dir);
  if (former !== undefined) await checkFormer(options.log, former, options.signal);
  const projections = await openBeside(options, beside);
  let checkpoint: Checkpoint;
  try {
    options.onStart?.(projections.read.checkpoint().sequence);
    await projections.ready;
    checkpoint = projections.read.checkpoint();
  } finally {
    await projections.close();
  }
  if (!isSwap) return checkpoint;
  for (const file of FILES) {
    if (existsSync(join(beside, file))) await rename(join(beside, file), join(options.dir, file));
  }
  await rm(beside, { recursive: true, force: true });
  return checkpoint;
}

/** What tables that a server has open stand on; they are only looked at. */
async function checkpointInUse(dir: string) {
  const opened = await openTablesFile(dir);
  if (opened.kind !== 'tables') return undefined;
  await using file = opened.file;
  return file.standing().checkpoint;
}

/** Goes on with what an interrupted call left, unless that was folded from another log. */
async function openBeside(options: RebuildOptions, dir: string): Promise<Projections> {
  const { finish: _finish, onStart: _onStart, ...rest } = options;
  try {
    return await openProjections({ ...rest, dir });
  } catch (error) {
    if (!(error instanceof LogError && (error.code === 'rolled-back' || error.code === 'incarnation-changed')))
      throw error;
    await rm(dir, { recursive: true, force: true });
    return await openProjections({ ...rest, dir });
  }
}
