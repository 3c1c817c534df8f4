import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Closes the answers that wait behind another one on a connection (RFC 9112 §9.3.2) when that connection ends. Node tells
 * only the first in the line; whoever counts what is open, or keeps it in memory until it is closed, would do so for ever.
 */
export function closeQueuedAnswers(server: Server): void {
  const waiting = new WeakMap<Socket, Set<ServerResponse>>();
  const track = (socket: Socket): Set<ServerResponse> => {
    const responses = new Set<ServerResponse>();
    waiting.set(socket, responses);
    socket.once('close', () => {
      for (const response of [...responses]) closeQueued(response);
    });
    return responses;
  };
  server.on('request', ({ socket }, response) => {
    if (socket.destroyed) {
      // it ended while what had come on it was being read; whoever listens does so after this event
      process.nextTick(closeQueued, response);
      return;
    }
    const responses = waiting.get(socket) ?? track(socket);
    responses.add(response);
    response.once('close', () => responses.delete(response));
  });
}

function closeQueued(response: ServerResponse): void {
  if (response.socket !== null || response.destroyed) return; // the first in the line: Node tells it
  response.destroy();
  response.emit('close');
}
