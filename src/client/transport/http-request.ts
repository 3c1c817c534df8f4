import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createKeyAgreement } from '../../mls/key-agreement-node.ts';
import type { HttpClient, HttpPlatform } from './http-client.ts';
import { TransportError } from './server-api.ts';

const SOCKETS_MAX = 16;

/** HTTP and X25519 as Node has them. */
export const nodeHttp: HttpPlatform = { createHttpClient, createKeyAgreement };

/** Keep-alive connections of its own, so that closing it leaves none behind. */
function createHttpClient(): HttpClient {
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
        sent.on('timeout', () => sent.destroy(new Error(`no answer for ${timeoutMs / 1000} s`)));
        sent.on('error', (cause) => reject(new TransportError('unreachable', reasonOf(cause, url), cause)));
        sent.end(body);
      }),
    close: () => {
      plain.destroy();
      secure.destroy();
    },
  };
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
