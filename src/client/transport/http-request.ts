import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { TransportError } from './server-api.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

export interface HttpClient {
  /** Sends one request and resolves with the head of its answer. @throws TransportError `unreachable` */
  send(request: {
    readonly method: string;
    readonly url: URL;
    readonly headers: Record<string, string>;
    readonly body?: Uint8Array;
    /** Time until the head of the answer; and, later, the longest silence inside its body. */
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
  }): Promise<HttpAnswer>;
  close(): void;
}

const SOCKETS_MAX = 16;

/** Keep-alive connections of its own, so that closing it leaves none behind. */
export function createHttpClient(): HttpClient {
  const plain = new HttpAgent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  const secure = new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  return {
    send: ({ method, url, headers, body, timeoutMs, signal }) =>
      new Promise((resolve, reject) => {
        const isSecure = url.protocol === 'https:';
        const send = isSecure ? httpsRequest : httpRequest;
        const sent = send(
          url,
          {
            method,
            headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
            agent: isSecure ? secure : plain,
            timeout: timeoutMs,
            ...(signal === undefined ? {} : { signal }),
          },
          (answer) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer }),
        );
        sent.on('timeout', () => sent.destroy(new Error(`no answer for ${timeoutMs} ms`)));
        sent.on('error', (cause) => reject(new TransportError('unreachable', reasonOf(cause, url), cause)));
        sent.end(body);
      }),
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
}

/** The whole body. @throws TransportError `malformed` when it is longer than `maxBytes`, `unreachable` when it breaks off. */
export async function readBody(answer: HttpAnswer, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBytes) {
        answer.body.destroy();
        throw new TransportError('malformed', `the server's answer has more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof TransportError) throw cause;
    throw new TransportError('unreachable', "the server's answer broke off", cause);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function reasonOf(error: Error & { code?: string }, url: URL): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${url.host}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${url.hostname} is not known`;
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection was cut';
    default:
      return error.message;
  }
}
