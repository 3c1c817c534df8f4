import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A line between two programs that can be cut: what is sent then goes nowhere, as if the cable were out. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /**
   * Nothing passes from now on; connections stay open, as they do when packets get lost.
   *
   * @param direction `there`: what is sent to the target gets lost, `back`: what the target sends
   */
  cut(direction?: Direction): void;
  /** What was held passes on, as it does when packets are sent again. */
  mend(): void;
}

export type Direction = 'both' | 'there' | 'back';

/** @param target asked at every connection: what listens there may not run yet. */
export async function openTcpProxy(target: () => number): Promise<TcpProxy> {
  /** Each socket with the one that its bytes go to. */
  const lines = new Map<Socket, { readonly to: Socket; readonly way: Direction }>();
  let isCut = (_way: Direction): boolean => false;
  const join = (from: Socket, to: Socket, way: Direction): void => {
    lines.set(from, { to, way });
    from.setNoDelay(true);
    if (!isCut(way)) from.pipe(to);
    from.on('error', () => to.destroy()); // a broken line is what both ends have to cope with
    from.on('close', () => {
      lines.delete(from);
      to.destroy();
    });
  };
  const server = createServer((near) => {
    const far = connect(target(), '127.0.0.1');
    join(near, far, 'there');
    join(far, near, 'back');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut(direction = 'both') {
      isCut = (way) => direction === 'both' || direction === way;
      for (const [from, { to, way }] of lines) if (isCut(way)) from.unpipe(to).pause();
    },
    mend() {
      for (const [from, { to, way }] of lines) if (isCut(way)) from.pipe(to);
      isCut = () => false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of lines.keys()) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
