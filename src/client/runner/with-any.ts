import { onAbort } from '../on-abort.ts';

/**
 * Work under a signal that fires with the first of `sources`, for the same reason.
 *
 * Nothing of it stays in them when the work is over. `AbortSignal.any` leaves an entry in every source for as long as that lives
 * (Node 20), and ours live as long as the client.
 */
export async function withAny<Result>(
  sources: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const fire = (): void => controller.abort(sources.find(({ aborted }) => aborted)?.reason);
  const stops = sources.map((source) => onAbort(source, fire));
  try {
    return await work(controller.signal);
  } finally {
    for (const stop of stops) stop();
  }
}
