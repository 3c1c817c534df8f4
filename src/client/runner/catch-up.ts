import { cursorFromBlock } from '../../wire/cursor.ts';
import type { Cursor } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { onAbort } from '../on-abort.ts';
import { type ServerApi, TransportError } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import { Aborted, backoffMs, pause } from './retry.ts';
import type { SyncLoop } from './sync-loop.ts';

const LOOK_AHEAD_ENTRIES = 1000;

/**
 * Waits until everything that is in the log now is processed. Cursors cannot be compared, so the server is asked what
 * comes after ours, and the last of those is waited for.
 *
 * @throws Aborted when the signal fires; ProblemError and TransportError when the server cannot be asked
 */
export async function waitUntilCaughtUp(
  world: {
    readonly api: Pick<ServerApi, 'syncPage'>;
    readonly state: Pick<ChatState, 'cursor'>;
    readonly sync: Pick<SyncLoop, 'whenUpToDate' | 'onPassed'>;
    readonly random: () => number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { api, state, sync, random } = world;
  await sync.whenUpToDate(signal);
  const passed = new Set<Cursor>();
  let wake = (): void => {};
  const stop = sync.onPassed((cursor) => {
    passed.add(cursor);
    wake();
  });
  const stopWaking = onAbort(signal, () => wake());
  try {
    let from = state.cursor;
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
      while (!passed.has(last) && state.cursor !== last) {
        if (signal.aborted) throw new Aborted();
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
