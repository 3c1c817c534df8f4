import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterTurns } from './turns.ts';

/** Turns of the event loop in which what has arrived meanwhile is read, before a connection counts as late. */
const TURNS_OF_GRACE = 2;

const STATUS_LINES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
};
const OTHERWISE = '400 Bad Request';

/**
 * Ends connections whose sender is too slow or sends no HTTP, with the status that says so where nothing was answered yet.
 *
 * Node looks for late headers by a timer, and after a stall of the event loop timers run before sockets are read: a
 * request that arrived in time, and lies unread in the socket, would be answered 408. So what Node calls late is read
 * once more, and cut only when its headers are not there even then. A request whose headers have arrived is never cut
 * here: its body has a time limit of its own (`readBody`).
 */
export function endBrokenConnections(server: Server): void {
  const requests = new WeakMap<Duplex, { seen: number; open: number }>();
  server.on('request', ({ socket }, response) => {
    const counts = requests.get(socket) ?? { seen: 0, open: 0 };
    requests.set(socket, counts);
    counts.seen += 1;
    counts.open += 1;
    response.once('close', () => {
      counts.open -= 1;
    });
  });
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (error.code !== 'ERR_HTTP_REQUEST_TIMEOUT') {
      end(socket, error);
      return;
    }
    const before = requests.get(socket)?.seen ?? 0;
    afterTurns(TURNS_OF_GRACE, () => {
      const { seen, open } = requests.get(socket) ?? { seen: 0, open: 0 };
      if (seen === before && open === 0) end(socket, error);
    });
  });

  function end(socket: Duplex, error: Error & { code?: string }): void {
    // an answer that has begun is not to be mixed with another one
    if (socket.writable && (requests.get(socket)?.open ?? 0) === 0) {
      socket.write(`HTTP/1.1 ${STATUS_LINES[error.code ?? ''] ?? OTHERWISE}\r\nconnection: close\r\n\r\n`);
    }
    socket.destroy();
  }
}
