import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChildLines, spawnLines } from './process.ts';

/**
 * Holds the lock of a folder for a moment longer, as the nats-server of a tool does that was killed; makes the file `done` before
 * it lets go. Resolves once the lock is held. Linux.
 */
export async function holdLockAwhile(folder: string, done: string): Promise<ChildLines> {
  await mkdir(folder, { recursive: true });
  const orphan = spawnLines('flock', ['-x', join(folder, 'lock'), 'sh', '-c', 'echo held; sleep 1; touch "$0"', done]);
  await orphan.waitForLine((line) => line === 'held', 'the lock');
  return orphan;
}
