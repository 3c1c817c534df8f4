import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkFormer, openProjections, type ProjectionsOptions } from './open-projections.ts';
import type { Checkpoint } from './read-model.ts';
import { storedCheckpoint } from './store/environment.ts';

const BESIDE = '.rebuilding';
const FILES = ['data.mdb', 'lock.mdb'];

/**
 * Folds the whole log into new tables beside those that are there, then puts them in their place. Nothing may have the
 * old ones open. Interrupted, it leaves the old ones as they were.
 *
 * @throws what the projector stops with; the log's own error when it is not the one that the old tables were made from:
 *   new ones would hide that it went back, and cursors of both histories would be taken
 */
export async function rebuildProjections(
  options: Omit<ProjectionsOptions, 'fresh' | 'onFailure'>,
): Promise<Checkpoint> {
  const beside = join(options.dir, BESIDE);
  await rm(beside, { recursive: true, force: true });
  const former = await storedCheckpoint(options.dir);
  if (former !== undefined) await checkFormer(options.log, former);
  const projections = await openProjections({ ...options, dir: beside });
  let checkpoint: Checkpoint;
  try {
    await projections.ready;
    checkpoint = projections.read.checkpoint();
  } finally {
    await projections.close();
  }
  for (const file of FILES) {
    if (existsSync(join(beside, file))) await rename(join(beside, file), join(options.dir, file));
  }
  await rm(beside, { recursive: true, force: true });
  return checkpoint;
}
