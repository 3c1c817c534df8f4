import type { GroupId } from '../../wire/ids.ts';
import { TransportError } from '../transport/server-api.ts';
import { withAny } from './with-any.ts';

/** Why a reading ended that is to be begun anew at once. */
export const READ_AGAIN = Symbol('read again');

/**
 * Reads until the reading ends by itself, or until the server has said what became of the commit of a group that is held because of it:
 * then all is to be read again from the stored cursor, and that group with it.
 *
 * @param read told by its signal to end; calls back when groups may be held that were not before
 * @throws what `read` throws; what `commitAnswered` throws when that is first
 */
export async function readUntilAnswered(options: {
  readonly held: ReadonlySet<GroupId>;
  readonly commitAnswered: (group: GroupId, signal: AbortSignal) => Promise<void>;
  readonly read: (signal: AbortSignal, onHeld: () => void) => Promise<string>;
  readonly signal: AbortSignal;
}): Promise<string | typeof READ_AGAIN> {
  const { held, commitAnswered, read, signal } = options;
  const ending = new AbortController();
  const waits = new Map<GroupId, Promise<void>>();
  let first: { readonly failure?: unknown } | undefined;
  const settle = (outcome: { readonly failure?: unknown }): void => {
    first ??= outcome;
    ending.abort();
  };
  return withAny([signal, ending.signal], async (either) => {
    const onHeld = (): void => {
      for (const group of held) {
        if (waits.has(group)) continue;
        const answered = commitAnswered(group, either);
        waits.set(
          group,
          answered.then(
            () => settle({}),
            (failure: unknown) => settle({ failure }),
          ),
        );
      }
    };
    const ended = await read(either, onHeld).then(
      (reason) => ({ reason }),
      (error: unknown) => ({ error }),
    );
    const cause = first; // of the end; what settles from here on was ended by it
    ending.abort();
    await Promise.all(waits.values());
    // a stream that is ended from here breaks off
    const isByItself = 'error' in ended && !(ended.error instanceof TransportError);
    if (cause === undefined || isByItself) {
      if ('error' in ended) throw ended.error;
      return ended.reason;
    }
    if ('failure' in cause) throw cause.failure;
    return READ_AGAIN;
  });
}
