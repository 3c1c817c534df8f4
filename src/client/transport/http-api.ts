import { toBase64Url } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { contentDigest, signRequest } from '../../wire/http-signature.ts';
import type { ClientId, DeviceId, Sha256 } from '../../wire/ids.ts';
import { asStreamItem, decodePage, type StreamItem } from '../../wire/page.ts';
import { isProblemCode, ProblemError } from '../../wire/problems.ts';
import { accountSchema, registerResponse } from '../../wire/schemas/accounts.ts';
import {
  acceptedSchema,
  groupDetailSchema,
  groupInfoResponse,
  groupLookupResponse,
  messagesResponse,
  treeResponse,
} from '../../wire/schemas/groups.ts';
import { claimResponse, publishResultSchema, stockSchema } from '../../wire/schemas/key-packages.ts';
import { serverInfoSchema } from '../../wire/schemas/server-info.ts';
import { groupLogPageSchema } from '../../wire/schemas/sync.ts';
import { readCborSequence } from './cbor-sequence.ts';
import { createHttpClient, type HttpAnswer, readBody } from './http-request.ts';
import { type ServerApi, TransportError } from './server-api.ts';

const CBOR = 'application/cbor';
const CBOR_SEQUENCE = 'application/cbor-seq';
const ANSWER_MAX_BYTES = 32 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 20_000;
/** The server sends a heartbeat every 15–25 s; silence longer than this means that the connection is dead. */
const STREAM_SILENCE_MS = 60_000;
const NONCE_BYTES = 16;

export interface HttpApiOptions {
  /** `http://host:port` or `https://…`; a path in it is kept in front of every resource. */
  readonly server: string;
  readonly device: DeviceId;
  /** Ed25519 by the device key. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
  readonly sha256: Sha256;
  readonly now: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly key?: ClientId;
  readonly body?: unknown;
  readonly accept?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

interface Shape<Value> {
  safeParse(value: unknown): { success: true; data: Value } | { success: false; error: unknown };
}

/** The server over HTTP: CBOR both ways, every request signed by the device key (RFC 9421). */
export function createHttpApi(options: HttpApiOptions): ServerApi {
  const http = createHttpClient();
  const base = new URL(options.server);
  const prefix = base.pathname.replace(/\/+$/, '');

  const send = async (call: Call): Promise<HttpAnswer> => {
    const url = new URL(`${prefix}${call.path}`, base);
    const body = call.body === undefined ? undefined : encodeCbor(call.body);
    const request = {
      method: call.method,
      authority: url.host,
      path: url.pathname,
      query: url.search === '' ? '?' : url.search,
      ...(body === undefined ? {} : { contentDigest: contentDigest(body, options.sha256) }),
    };
    const parameters = {
      created: Math.floor(options.now() / 1000),
      nonce: toBase64Url(options.randomBytes(NONCE_BYTES)),
      keyid: options.device,
      alg: 'ed25519',
    } as const;
    const answer = await http.send({
      method: call.method,
      url,
      headers: {
        ...(await signRequest(request, parameters, options.sign)),
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
  };
  const read = async (call: Call): Promise<Uint8Array> => readBody(await send(call), ANSWER_MAX_BYTES);
  const ask = async <Value>(shape: Shape<Value>, call: Call): Promise<Value> => shaped(shape, await read(call));
  const find = async <Value>(shape: Shape<Value>, path: string): Promise<Value | undefined> => {
    try {
      return await ask(shape, { method: 'GET', path });
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'not-found') return undefined;
      throw error;
    }
  };
  const group = (id: string, resource: string): string => `/v1/groups/${encodeURIComponent(id)}/${resource}`;

  return {
    serverInfo: () => ask(serverInfoSchema, { method: 'GET', path: '/.well-known/mlsd' }),
    register: (key, body) => ask(registerResponse, { method: 'POST', path: '/v1/accounts', key, body }),
    accountByName: (name) => find(accountSchema, `/v1/accounts?name=${encodeURIComponent(name)}`),
    account: (id) => find(accountSchema, `/v1/accounts/${encodeURIComponent(id)}`),
    stock: () => ask(stockSchema, { method: 'GET', path: '/v1/key-packages' }),
    publishKeyPackages: (key, keyPackages) =>
      ask(publishResultSchema, { method: 'PUT', path: '/v1/key-packages', key, body: { keyPackages } }),
    claimKeyPackages: (key, id, accounts) =>
      ask(claimResponse, { method: 'POST', path: '/v1/key-packages/claims', key, body: { group: id, accounts } }),
    createGroup: (key, body) => ask(acceptedSchema, { method: 'POST', path: '/v1/groups', key, body }),
    groupsByName: (name) =>
      ask(groupLookupResponse, { method: 'GET', path: `/v1/groups?name=${encodeURIComponent(name)}` }),
    postCommit: (key, id, body) => ask(acceptedSchema, { method: 'POST', path: group(id, 'commits'), key, body }),
    postProposal: (key, id, proposal) =>
      ask(acceptedSchema, { method: 'POST', path: group(id, 'proposals'), key, body: { proposal } }),
    postMessages: (key, id, messages) =>
      ask(messagesResponse, { method: 'POST', path: group(id, 'messages'), key, body: { messages } }),
    tree: (id, epoch) => ask(treeResponse, { method: 'GET', path: group(id, `tree?epoch=${epoch}`) }),
    groupInfo: (id) => ask(groupInfoResponse, { method: 'GET', path: group(id, 'group-info') }),
    endOf: async (id) => (await find(groupDetailSchema, `/v1/groups/${encodeURIComponent(id)}`))?.position,
    headAt: async (id, position) => {
      const page = await find(groupLogPageSchema, group(id, `log?after=${position - 1}&limit=1`));
      return page?.position === position ? page.head : undefined;
    },
    syncPage: async (cursor, limit) => {
      const path = `/v1/sync?cursor=${encodeURIComponent(cursor)}&limit=${limit}`;
      return wellFormed(decodePage, await read({ method: 'GET', path }));
    },
    syncStream: (cursor, signal) => {
      const path = `/v1/sync?cursor=${encodeURIComponent(cursor)}`;
      return readStream(send, { method: 'GET', path, accept: CBOR_SEQUENCE, timeoutMs: STREAM_SILENCE_MS, signal });
    },
    close: async () => http.close(),
  };
}

async function* readStream(
  send: (call: Call) => Promise<HttpAnswer>,
  call: Call,
): AsyncGenerator<StreamItem, void, undefined> {
  const answer = await send(call);
  try {
    for await (const value of readCborSequence(answer.body as AsyncIterable<Uint8Array>, ANSWER_MAX_BYTES)) {
      yield wellFormed(asStreamItem, value);
    }
  } catch (error) {
    if (error instanceof TransportError) throw error;
    if (error instanceof SyntaxError)
      throw new TransportError('malformed', "the server's stream cannot be read", error);
    throw new TransportError('unreachable', 'the connection was cut', error);
  } finally {
    answer.body.destroy();
  }
}

function shaped<Value>(shape: Shape<Value>, body: Uint8Array): Value {
  const parsed = shape.safeParse(wellFormed(decodeCbor, body));
  if (parsed.success) return parsed.data;
  throw new TransportError('malformed', "the server's answer is not of this protocol", parsed.error);
}

function wellFormed<Input, Output>(decode: (input: Input) => Output, input: Input): Output {
  try {
    return decode(input);
  } catch (cause) {
    throw new TransportError('malformed', "the server's answer cannot be read", cause);
  }
}

/** The problem that an answer carries (RFC 9457), or what can be made of an answer without one. */
async function problemOf(answer: HttpAnswer): Promise<ProblemError | TransportError> {
  const text = Buffer.from(await readBody(answer, ANSWER_MAX_BYTES)).toString('utf8');
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
