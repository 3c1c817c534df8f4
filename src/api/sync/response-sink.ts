import type { ServerResponse } from 'node:http';
import type { StreamSink } from './live-stream.ts';

/** How long a reader has to take what was written before its stream ended, ms. */
const END_GRACE_MS = 2_000;

/** A response as the sink of a live stream. Headers go out at once, so that a client knows it is heard. */
export function openResponseSink(response: ServerResponse, headers: Readonly<Record<string, string>>): StreamSink {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.on('error', () => gone.abort());
  response.writeHead(200, headers);
  response.flushHeaders();
  return {
    gone: gone.signal,
    write(parts) {
      let hasRoom = true;
      response.cork();
      for (const part of parts) hasRoom = response.write(part);
      response.uncork();
      return hasRoom;
    },
    drained: (timeoutMs) =>
      new Promise((resolve) => {
        if (gone.signal.aborted) {
          resolve(false);
          return;
        }
        const settle = (hasRoom: boolean): void => {
          clearTimeout(timer);
          response.off('drain', onDrain);
          gone.signal.removeEventListener('abort', onGone);
          resolve(hasRoom);
        };
        const onDrain = (): void => settle(true);
        const onGone = (): void => settle(false);
        const timer = setTimeout(onGone, timeoutMs);
        response.on('drain', onDrain);
        gone.signal.addEventListener('abort', onGone);
      }),
    end() {
      response.end();
      if (gone.signal.aborted) return;
      const cut = setTimeout(() => response.destroy(), END_GRACE_MS);
      gone.signal.addEventListener('abort', () => clearTimeout(cut));
    },
  };
}
