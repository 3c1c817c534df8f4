import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A line between two programs that can be cut: what is sent then goes nowhere, as if the cable were out. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Nothing passes from now on, in either direction; connections stay open, as they do when packets get lost. */
  cut(): void;
  /** What was held passes on, as it does when packets are sent again. */
  mend(): void;
}

/** @param target asked at every connection: what listens there may not run yet. */
export async function openTcpProxy(target: () => number): Promise<TcpProxy> {
  /** Each socket with the one that its bytes go to. */
  const lines = new Map<Socket, Socket>();
  let isCut = false;
  const join = (from: Socket, to: Socket): void => {
    lines.set(from, to);
    from.setNoDelay(true);
    if (!isCut) from.pipe(to);
    from.on('error', () => to.destroy()); // a broken line is what both ends have to cope with
    from.on('close', () => {
      lines.delete(from);
      to.destroy();
    });
  };
  const server = createServer((near) => {
    const far = connect(target(), '127.0.0.1');
    join(near, far);
    join(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      for (const [from, to] of lines) from.unpipe(to).pause();
    },
    mend() {
      isCut = false;
      for (const [from, to] of lines) from.pipe(to);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of lines.keys()) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
