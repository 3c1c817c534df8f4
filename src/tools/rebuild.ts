import { LogError } from '../log/errors.ts';
import { rebuildProjections } from '../projections/rebuild.ts';
import type { Progress } from './progress.ts';
import type { Site } from './site.ts';

export interface Rebuilt {
  /** Sequence of the last event in the new tables. */
  readonly sequence: number;
  /** `swapped`: they are in use from the next start on. `prepared`: the server runs, and still has the old ones. */
  readonly kind: 'swapped' | 'prepared';
}

/** No cursor is made of tables that only this tool has open. */
const NO_CURSOR_KEY = new Uint8Array(32);

/**
 * Makes the tables of a server anew from its log. Of a running server they are only prepared: called again when it is
 * stopped, little is left to do.
 *
 * @throws as `rebuildProjections`; LogError `aborted` when the signal fired: the next call goes on from there
 */
export async function rebuild(site: Site, progress: Progress): Promise<Rebuilt> {
  const log = await site.openLog();
  const { signal } = site.options;
  try {
    const { sequence } = await rebuildProjections({
      dir: site.tablesFolder,
      log,
      cursorKey: NO_CURSOR_KEY,
      finish: site.running ? 'prepare' : 'swap',
      onStart: (sequence) => {
        if (sequence > 0) progress.say(`going on after event ${sequence}, where it was interrupted`);
      },
      onProgress: ({ sequence, tail }) => progress.report('folding the log', sequence, tail),
      ...(signal === undefined ? {} : { signal }),
    });
    return { sequence, kind: site.running ? 'prepared' : 'swapped' };
  } catch (cause) {
    if (signal?.aborted !== true) throw cause;
    throw new LogError('aborted', 'interrupted: run it again to go on from there', { cause });
  } finally {
    progress.end();
  }
}
