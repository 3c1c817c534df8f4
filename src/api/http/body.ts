import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import { ProblemError } from '../../wire/problems.ts';
import { afterTurns } from '../turns.ts';

/** Turns of the event loop in which what has arrived meanwhile is read, before a body counts as late. */
const TURNS_OF_GRACE = 2;

/**
 * Refuses a request whose stated length is over the limit, before anything of it is read.
 *
 * @throws ProblemError `payload-too-large`, `invalid-request`, or `unsupported-media-type` for a compressed body.
 */
export function checkBodyHeaders(request: IncomingMessage, maxBytes: number): void {
  const { 'content-length': length, 'content-encoding': encoding } = request.headers;
  if (length !== undefined && !/^\d{1,15}$/.test(length)) {
    throw new ProblemError('invalid-request', 'Content-Length is not a number');
  }
  if (length !== undefined && Number(length) > maxBytes) throw tooLarge(maxBytes);
  if (encoding !== undefined && encoding !== 'identity') {
    throw new ProblemError('unsupported-media-type', 'bodies are sent as they are, without Content-Encoding');
  }
}

/** Whether the request comes with a body, going by its headers (RFC 9112 §6). */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': transfer } = request.headers;
  return transfer !== undefined || (length !== undefined && length !== '0');
}

/**
 * The whole body, at most `maxBytes`, counted while reading. A sender that is too slow costs a socket, not for ever.
 *
 * @throws ProblemError `payload-too-large`, or `invalid-request` when it breaks off or does not arrive in time.
 */
export async function readBody(request: IncomingMessage, maxBytes: number, timeoutMs: number): Promise<Uint8Array> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const length = request.headers['content-length'] ?? null;
    const body = await new Promise<Buffer>((resolve, reject) => {
      const giveUp = (): void => {
        if (timer === undefined) return; // it was there after all
        request.pause();
        reject(new ProblemError('invalid-request', `the body did not arrive within ${timeoutMs / 1000} s`));
      };
      timer = setTimeout(() => afterTurns(TURNS_OF_GRACE, giveUp), timeoutMs);
      getRawBody(request, { length, limit: maxBytes }).then(resolve, reject);
    });
    return new Uint8Array(body.buffer, body.byteOffset, body.length);
  } catch (error) {
    throw bodyProblem(error, maxBytes);
  } finally {
    clearTimeout(timer);
    timer = undefined;
  }
}

function bodyProblem(error: unknown, maxBytes: number): unknown {
  if (error instanceof ProblemError || !(error instanceof Error) || !('type' in error)) return error;
  if (error.type === 'entity.too.large') return tooLarge(maxBytes);
  return new ProblemError('invalid-request', 'the body broke off before its end', { cause: error });
}

function tooLarge(maxBytes: number): ProblemError {
  return new ProblemError('payload-too-large', `a request here has at most ${maxBytes} bytes`);
}
