import { connect, type Socket } from 'node:net';

/** One connection that sends ready-made requests, one at a time: cheap enough to overload a server from one core. */
export interface RawConnection {
  /** @returns the answer's status, and whether it says when to come again; `undefined` when the connection broke */
  send(request: Buffer): Promise<{ readonly status: number; readonly retryAfter: boolean } | undefined>;
  readonly isOpen: boolean;
  close(): void;
}

const HEAD_END = '\r\n\r\n';

export function openRawConnection(port: number): RawConnection {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let rest = '';
  let isOpen = true;
  let settle: ((answer: { status: number; retryAfter: boolean } | undefined) => void) | undefined;
  const end = (): void => {
    isOpen = false;
    settle?.(undefined);
    settle = undefined;
    socket.destroy();
  };
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    rest += chunk;
    const headEnd = rest.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = rest.slice(0, headEnd).toLowerCase();
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? Number.NaN);
    if (rest.length < headEnd + HEAD_END.length + length) return;
    rest = rest.slice(headEnd + HEAD_END.length + length);
    const answer = { status: Number(head.slice(9, 12)), retryAfter: head.includes('\r\nretry-after:') };
    if (head.includes('\r\nconnection: close')) isOpen = false;
    const done = settle;
    settle = undefined;
    done?.(answer);
  });
  socket.on('error', end).on('close', end);
  return {
    get isOpen() {
      return isOpen;
    },
    send(request) {
      return new Promise((resolve) => {
        if (!isOpen) {
          resolve(undefined);
          return;
        }
        settle = resolve;
        socket.write(request);
      });
    },
    close: end,
  };
}
