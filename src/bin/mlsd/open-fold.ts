import type { Logger } from 'pino';
import { LogError, type LogErrorCode } from '../../log/errors.ts';
import type { Log } from '../../log/open-log.ts';
import { openProjections, type Projections } from '../../projections/open-projections.ts';

const ROLLBACKS: ReadonlySet<LogErrorCode> = new Set(['rolled-back', 'incarnation-changed', 'log-missing']);

/** Whether the log is not the one that the tables were made from. */
export function isRollback(error: unknown): error is LogError {
  return error instanceof LogError && ROLLBACKS.has(error.code);
}

export interface OpenFoldOptions {
  readonly tables: string;
  readonly log: Log;
  readonly cursorKey: Uint8Array;
  readonly acceptRollback: boolean;
  /** Throw the tables away first. */
  readonly fresh: boolean;
  readonly logger: Logger;
  /** Gives up what is not ready yet. */
  readonly signal?: AbortSignal;
}

/**
 * Opens the tables on the log. Where the log went back and that was accepted, under a new incarnation and anew, so
 * that no cursor of before is taken for one of now.
 *
 * @throws LogError as the reader of the log does; ProjectionError.
 */
export async function openFold(options: OpenFoldOptions): Promise<Projections> {
  const { tables, log, cursorKey, acceptRollback, logger, signal } = options;
  const open = (fresh: boolean): Promise<Projections> =>
    openProjections({
      dir: tables,
      log,
      cursorKey,
      fresh,
      ...(signal === undefined ? {} : { signal }),
      onFailure: (error) => {
        logger.fatal({ type: error.name, code: 'code' in error ? error.code : undefined }, 'the projections stopped');
      },
      onInterruption: (error, remedy) => {
        const what = { type: error.name, code: 'code' in error ? error.code : undefined };
        if (remedy === 'resume') logger.error(what, 'the tables could not be written: folding starts again');
        else
          logger.error(
            what,
            'the tables are damaged: they are being made anew, and nothing is served before that is done',
          );
      },
    });
  try {
    return await open(options.fresh);
  } catch (error) {
    if (!isRollback(error) || !acceptRollback) throw error;
    logger.warn({ code: error.code }, 'the log is not the one the tables were made from: starting a new incarnation');
    await log.startNewIncarnation();
    return await open(true);
  }
}
