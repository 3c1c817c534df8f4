import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { FramedPage } from '../../projections/read-model.ts';

export interface LongPoll {
  /** @throws what makes the poll fail */
  readonly read: () => FramedPage;
  readonly watch: (wake: () => void) => { close(): void };
  readonly waitMs: number;
  /** Aborted when the server closes: the poll is answered with what is there. */
  readonly closing: AbortSignal;
  readonly request: IncomingMessage;
}

/** The first page with entries, or after `waitMs`, at the close of server or connection, the empty one. */
export async function waitForPage({ read, watch, waitMs, closing, request }: LongPoll): Promise<FramedPage> {
  return await new Promise((resolve, reject) => {
    let isSettled = false;
    const settle = (isLast: boolean): void => {
      if (isSettled) return;
      try {
        const page = read();
        if (page.framed.length === 0 && page.gaps === undefined && !isLast) return;
        finish(() => resolve(page));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const last = (): void => settle(true);
    const timer = setTimeout(last, waitMs);
    const watching = watch(() => settle(false));
    setMaxListeners(0, closing); // every open poll hears the server's: many are no leak
    closing.addEventListener('abort', last);
    request.socket.on('close', last);
    settle(closing.aborted || request.socket.destroyed); // what came between the first read and the watch

    function finish(conclude: () => void): void {
      isSettled = true;
      clearTimeout(timer);
      watching.close();
      closing.removeEventListener('abort', last);
      request.socket.off('close', last);
      conclude();
    }
  });
}
