import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ApiApp } from './app.ts';
import { endBrokenConnections } from './broken-connections.ts';
import { closeQueuedAnswers } from './queued-answers.ts';

/** What is still being sent this long after it was answered is cut. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Late headers are looked for this often in the time they have. */
const CHECKS_PER_TIMEOUT = 4;
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const HEADERS_MAX_BYTES = 16 * 1024;
/** What is still open this long after closing began is cut. */
const CLOSE_GRACE_MS = 10_000;
/** Connections that fall idle while the server closes are closed as they do. */
const CLOSE_IDLE_EVERY_MS = 50;

export interface HttpServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`. */
  readonly url: string;
  /** Stops accepting, lets what runs finish for a while, then cuts it. */
  close(): Promise<void>;
}

/** @throws NodeJS.ErrnoException `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
export async function openHttpServer(
  app: ApiApp,
  place: { readonly host: string; readonly port: number; readonly headersTimeoutMs: number },
): Promise<HttpServer> {
  const { headersTimeoutMs } = place;
  const server = createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: Math.max(REQUEST_TIMEOUT_MS, headersTimeoutMs), // Node wants it so
      connectionsCheckingInterval: Math.ceil(headersTimeoutMs / CHECKS_PER_TIMEOUT),
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      maxHeaderSize: HEADERS_MAX_BYTES,
      noDelay: true,
    },
    app.callback(),
  );
  endBrokenConnections(server);
  closeQueuedAnswers(server);
  const unused = trackUnused(server);
  await listen(server, place);
  const { port } = server.address() as AddressInfo;
  const host = place.host.includes(':') ? `[${place.host}]` : place.host;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeServer(server, unused);
    return closing;
  };
  return { host: place.host, port, url: `http://${host}:${port}`, close, [Symbol.asyncDispose]: close };
}

function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Connections that have not sent a request yet. Node counts them as busy, so at the close they would be waited for. */
function trackUnused(server: Server): ReadonlySet<Socket> {
  const unused = new Set<Socket>();
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.on('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }) => unused.delete(socket));
  return unused;
}

async function closeServer(server: Server, unused: ReadonlySet<Socket>): Promise<void> {
  for (const socket of unused) socket.destroy();
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      server.close((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
      server.closeIdleConnections();
    });
  } finally {
    clearTimeout(cut);
    clearInterval(idle);
  }
}
