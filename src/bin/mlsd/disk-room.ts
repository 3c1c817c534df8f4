import { statfsSync } from 'node:fs';

/** Kept free for what is under way: messages that wait for the log are stored there and in the tables. */
const RESERVE_BYTES = 256 * 1024 * 1024;
/** Of a small disk this share instead. */
const RESERVE_SHARE = 0.2;
const LOOK_EVERY_MS = 100;

/**
 * Tells whether the disk under a folder has room for more writes. Looking is done when asked, now and then: the answer is
 * at most a tenth of a second old.
 *
 * Log and tables mostly share a disk. Were it filled to the end, the tables would fail first and reads with them; so
 * writes are refused while everything else still works, and taken again as soon as there is room.
 */
export function createDiskRoom(folder: string, clock: () => number = () => performance.now()): () => boolean {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let hasRoom = true;
  return () => {
    const now = clock();
    if (now - lookedAt < LOOK_EVERY_MS) return hasRoom;
    lookedAt = now;
    const { bavail, blocks, bsize } = statfsSync(folder);
    hasRoom = bavail * bsize > Math.min(RESERVE_BYTES, RESERVE_SHARE * blocks * bsize);
    return hasRoom;
  };
}
