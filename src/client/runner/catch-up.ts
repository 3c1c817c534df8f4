import { cursorFromBlock } from '../../wire/cursor.ts';
import type { Cursor, GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { onAbort } from '../on-abort.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { ReadingState } from './reading-state.ts';
import { Aborted, backoffMs, pause } from './retry.ts';

const LOOK_AHEAD_ENTRIES = 1000;

/**
 * Waits until everything that is in the log now is processed. Cursors cannot be compared, so the server is asked what
 * comes after ours, and the last of those is waited for.
 *
 * @param group what of this one is in the log, whatever others are held; of all when absent
 * @throws Aborted when the signal fires; ProblemError and TransportError when the server cannot be asked
 */
export async function waitUntilCaughtUp(
  world: {
    readonly api: Pick<ServerApi, 'syncPage'>;
    readonly sync: Pick<ReadingState, 'whenUpToDate' | 'onPassed' | 'isHeld' | 'reached' | 'compared'>;
    readonly random: () => number;
  },
  signal: AbortSignal,
  group?: GroupId,
): Promise<void> {
  const { api, sync, random } = world;
  await sync.whenUpToDate(signal, group);
  const passed = new Set<Cursor>();
  let wake = (): void => {};
  const stop = sync.onPassed((cursor) => {
    if (sync.isHeld(group)) return; // it comes again when the server has said what became of the commit
    passed.add(cursor);
    wake();
  });
  const stopWaking = onAbort(signal, () => wake());
  try {
    let from = sync.reached;
    const { compared } = sync;
    for (let complete = false, empty = 0; !complete; ) {
      if (signal.aborted) throw new Aborted();
      const page = await api.syncPage(from, LOOK_AHEAD_ENTRIES).catch((error: unknown) => {
        if (!(error instanceof ProblemError) || error.code !== 'cursor-invalid') throw error;
        // the stream hears it too, and reads the new log from its beginning: asked again, there is a cursor of that one
        throw new TransportError('unreachable', 'the log was replaced', error);
      });
      complete = page.upToDate;
      from = page.cursor;
      if (page.entries.length === 0) {
        // more is to come, and nothing was shown: whoever says that again and again is not asked without a pause
        if (!complete) await pause(backoffMs(empty, random), signal);
        empty += 1;
        continue;
      }
      empty = 0;
      const last = cursorFromBlock(page.cursors, page.entries.length - 1);
      // of a group that is held, nothing that was passed is read
      while (!passed.has(last) && (sync.isHeld(group) || sync.reached !== last)) {
        if (signal.aborted) throw new Aborted();
        // what the log before had last never comes
        if (sync.compared !== compared) throw new TransportError('unreachable', 'the log was replaced');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stop();
    stopWaking();
  }
}
