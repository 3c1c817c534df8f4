import { setMaxListeners } from 'node:events';

/**
 * A client has one listener on a signal for all that wait for it (`onAbort`); with those of its network, more than this are a leak.
 *
 * It is what older versions of Node hold every signal to; newer ones hold a signal to nothing, unless it is said.
 */
const LISTENERS_MAX = 10;

/** What Node says when more listen to one thing than should. */
export const LEAK_WARNING = 'MaxListenersExceededWarning';

/** Has Node say it when more listen to this signal than should. */
export function watchListeners(signal: AbortSignal): void {
  setMaxListeners(LISTENERS_MAX, signal);
}
