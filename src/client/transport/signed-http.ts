import { toBase64Url } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { contentDigest, signRequest } from '../../wire/http-signature.ts';
import type { ClientId, DeviceId, Sha256 } from '../../wire/ids.ts';
import { isProblemCode, ProblemError } from '../../wire/problems.ts';
import { sessionResponse } from '../../wire/schemas/sessions.ts';
import { shaped } from './answer-shape.ts';
import { type HttpAnswer, type HttpPlatform, readBody } from './http-client.ts';
import { TransportError } from './server-api.ts';
import { type ClientSession, createSessions } from './sessions.ts';

const CBOR = 'application/cbor';
export const ANSWER_MAX_BYTES = 32 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 20_000;
const NONCE_BYTES = 16;
/** Sessions that one request may find ended; after that the device key signs it. */
const SESSIONS_TRIED_MAX = 2;

export interface SignedHttpOptions {
  /** `http://host:port` or `https://…`; a path in it is kept in front of every resource. */
  readonly server: string;
  readonly device: DeviceId;
  /** Ed25519 by the device key. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
  readonly sha256: Sha256;
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly platform: HttpPlatform;
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly key?: ClientId;
  readonly body?: unknown;
  readonly accept?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Signed by the device key; else by a session, which is opened when there is none. */
  readonly proof?: 'device-key';
}

export interface SignedHttp {
  /** @throws ProblemError for an answer that is one, TransportError when there is none */
  send(call: Call): Promise<HttpAnswer>;
  close(): void;
}

/**
 * Requests as the server takes them: CBOR, signed (RFC 9421). The device key signs what it has to; everything else is
 * signed by a session, which costs neither end a public-key operation. A session that the server does not take any more, as
 * after a restart with another secret, costs one renewal.
 */
export function createSignedHttp(options: SignedHttpOptions): SignedHttp {
  const { createHttpClient, createKeyAgreement } = options.platform;
  const http = createHttpClient();
  const base = new URL(options.server);
  const prefix = base.pathname.replace(/\/+$/, '');
  const sessions = createSessions(
    async (key) => {
      const answer = await attempt({ method: 'POST', path: '/v1/sessions', body: { key } }, undefined);
      return shaped(sessionResponse, await readBody(answer, ANSWER_MAX_BYTES));
    },
    options.now,
    createKeyAgreement,
  );

  async function attempt(call: Call, session: ClientSession | undefined): Promise<HttpAnswer> {
    const url = new URL(`${prefix}${call.path}`, base);
    const body = call.body === undefined ? undefined : encodeCbor(call.body);
    const request = {
      method: call.method,
      authority: url.host,
      path: url.pathname,
      query: url.search === '' ? '?' : url.search,
      ...(body === undefined ? {} : { contentDigest: contentDigest(body, options.sha256) }),
      ...(call.key === undefined ? {} : { idempotencyKey: call.key }),
    };
    const parameters = {
      created: Math.floor(options.now() / 1000),
      nonce: toBase64Url(options.randomBytes(NONCE_BYTES)),
      keyid: session?.ticket ?? options.device,
      alg: session === undefined ? 'ed25519' : 'hmac-sha256',
    } as const;
    const answer = await http.send({
      method: call.method,
      url,
      headers: {
        ...(await signRequest(request, parameters, session?.sign ?? options.sign)),
        accept: call.accept ?? CBOR,
        ...(body === undefined ? {} : { 'content-type': CBOR }),
        ...(call.key === undefined ? {} : { 'idempotency-key': call.key }),
      },
      timeoutMs: call.timeoutMs ?? REQUEST_TIMEOUT_MS,
      ...(body === undefined ? {} : { body }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await problemOf(answer);
  }

  async function send(call: Call): Promise<HttpAnswer> {
    if (call.proof === 'device-key') return await attempt(call, undefined);
    for (let tried = 0; tried < SESSIONS_TRIED_MAX; tried += 1) {
      const session = await unlessAborted(sessions.current(), call.signal);
      try {
        return await attempt(call, session);
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error;
        if (error.members.reason === 'device-key-required') break;
        if (error.members.reason !== 'session-expired') throw error;
        sessions.drop(session);
      }
    }
    return await attempt(call, undefined);
  }

  return { send, close: () => http.close() };
}

/** What is asked for by many is not given up for one of them; that one alone stops waiting. */
async function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return await work;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new TransportError('unreachable', 'the request was given up', signal.reason));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The problem that an answer carries (RFC 9457), or what can be made of an answer without one. */
async function problemOf(answer: HttpAnswer): Promise<ProblemError | TransportError> {
  const text = new TextDecoder().decode(await readBody(answer, ANSWER_MAX_BYTES));
  const retryAfter = Number(answer.headers['retry-after']);
  const retry = Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // a proxy's page, say; its status still tells something
  }
  if (typeof value === 'object' && value !== null && 'code' in value && isProblemCode(String(value.code))) {
    const { type: _type, title, status: _status, code, detail, ...members } = value as Record<string, unknown>;
    return new ProblemError(String(code) as ProblemError['code'], String(detail ?? title ?? code), {
      members,
      ...retry,
    });
  }
  if (answer.status >= 500) return new ProblemError('not-ready', `the server answered ${answer.status}`, retry);
  return new TransportError('malformed', `the server answered ${answer.status} without a reason`);
}
