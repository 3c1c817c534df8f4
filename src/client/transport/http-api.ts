import { readCborSequence } from '../../wire/cbor-sequence.ts';
import type { Cursor } from '../../wire/ids.ts';
import { asStreamItem, decodePage, type StreamItem } from '../../wire/page.ts';
import { ProblemError } from '../../wire/problems.ts';
import { accountSchema, changeResponse, registerResponse } from '../../wire/schemas/accounts.ts';
import { blobBody, storedBlobSchema } from '../../wire/schemas/blobs.ts';
import { deviceOfferBody, storedOfferSchema } from '../../wire/schemas/device-offers.ts';
import {
  acceptedSchema,
  groupDetailSchema,
  groupInfoResponse,
  groupListResponse,
  groupLookupResponse,
  messagesResponse,
  treeResponse,
} from '../../wire/schemas/groups.ts';
import { claimResponse, publishResultSchema, stockSchema } from '../../wire/schemas/key-packages.ts';
import { serverInfoSchema } from '../../wire/schemas/server-info.ts';
import { groupLogPageSchema } from '../../wire/schemas/sync.ts';
import { type Shape, shaped, wellFormed } from './answer-shape.ts';
import { type HttpAnswer, readBody } from './http-client.ts';
import { type ServerApi, TransportError } from './server-api.ts';
import {
  ANSWER_MAX_BYTES,
  type Call,
  createSignedHttp,
  type SignedHttp,
  type SignedHttpOptions,
} from './signed-http.ts';

const CBOR_SEQUENCE = 'application/cbor-seq';
/** The server sends a heartbeat every 15–25 s; silence longer than this means that the connection is dead. */
const STREAM_SILENCE_MS = 60_000;

/** No session is as short as this; of streams that are, so many in a row are renewed at once. Then whoever reads them waits. */
const STREAM_SHORT_MS = 1_000;
const SHORT_STREAMS_MAX = 3;

/** A large blob on a slow line: as long as the server waits for it. */
const BLOB_TIMEOUT_MS = 60_000;

/** The server over HTTP: CBOR both ways, every request signed (RFC 9421) by a session or by the device key. */
export function createHttpApi(options: SignedHttpOptions): ServerApi {
  const http = createSignedHttp(options);
  const { send } = http;
  const read = async (call: Call): Promise<Uint8Array> => readBody(await send(call), ANSWER_MAX_BYTES);
  const ask = async <Value>(shape: Shape<Value>, call: Call): Promise<Value> => shaped(shape, await read(call));
  const find = async <Value>(shape: Shape<Value>, path: string, proof?: Call['proof']): Promise<Value | undefined> => {
    try {
      return await ask(shape, { method: 'GET', path, ...(proof === undefined ? {} : { proof }) });
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'not-found') return undefined;
      throw error;
    }
  };
  const group = (id: string, resource: string): string => `/v1/groups/${encodeURIComponent(id)}/${resource}`;

  return {
    serverInfo: () => ask(serverInfoSchema, { method: 'GET', path: '/.well-known/mlsd', proof: 'device-key' }),
    register: (key, body) =>
      ask(registerResponse, { method: 'POST', path: '/v1/accounts', key, body, proof: 'device-key' }),
    renameAccount: (key, body) =>
      ask(changeResponse, { method: 'PATCH', path: '/v1/accounts/me', key, body, proof: 'device-key' }),
    addDevice: (key, body) =>
      ask(registerResponse, { method: 'POST', path: '/v1/accounts/me/devices', key, body, proof: 'device-key' }),
    recoverAccount: (key, id, body) =>
      ask(registerResponse, { method: 'POST', path: `/v1/accounts/${id}/recoveries`, key, body, proof: 'device-key' }),
    putDeviceOffer: (id, offer) =>
      ask(storedOfferSchema, {
        method: 'PUT',
        path: `/v1/device-offers/${id}`,
        body: { offer },
        proof: 'device-key',
      }),
    deviceOffer: async (id) => (await find(deviceOfferBody, `/v1/device-offers/${id}`))?.offer,
    revokeDevice: (key, id, body) =>
      ask(changeResponse, { method: 'DELETE', path: `/v1/accounts/me/devices/${id}`, key, body, proof: 'device-key' }),
    accountGroups: () => ask(groupListResponse, { method: 'GET', path: '/v1/groups?of=account' }),
    accountByName: (name) => find(accountSchema, `/v1/accounts?name=${encodeURIComponent(name)}`),
    // also asked by a device that is not known yet, which gets no session
    account: (id, newest) => {
      const query = newest === undefined ? '' : '?newest=true';
      return find(accountSchema, `/v1/accounts/${encodeURIComponent(id)}${query}`, 'device-key');
    },
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
    postReport: (id, body) => ask(acceptedSchema, { method: 'POST', path: group(id, 'reports'), body }),
    putBlob: (id, hash, blob) =>
      ask(storedBlobSchema, {
        method: 'PUT',
        path: group(id, `blobs/${hash}`),
        body: { blob },
        timeoutMs: BLOB_TIMEOUT_MS,
      }),
    blob: async (id, hash) => (await find(blobBody, group(id, `blobs/${hash}`)))?.blob,
    tree: (id, epoch) => ask(treeResponse, { method: 'GET', path: group(id, `tree?epoch=${epoch}`) }),
    groupInfo: (id) => ask(groupInfoResponse, { method: 'GET', path: group(id, 'group-info') }),
    endOf: async (id) => (await find(groupDetailSchema, `/v1/groups/${encodeURIComponent(id)}`))?.position,
    headAt: async (id, position) => {
      const page = await find(groupLogPageSchema, group(id, `log?after=${position - 1}&limit=1&newest=true`));
      if (page === undefined || page.position < position) return undefined;
      return page.position === position ? page.head : 'later';
    },
    syncPage: async (cursor, limit) => {
      const path = `/v1/sync?cursor=${encodeURIComponent(cursor)}&limit=${limit}`;
      return wellFormed(decodePage, await read({ method: 'GET', path }));
    },
    syncStream: (cursor, signal) => {
      const stream = { method: 'GET', accept: CBOR_SEQUENCE, timeoutMs: STREAM_SILENCE_MS, signal };
      const callFrom = (from: Cursor): Call => ({ ...stream, path: `/v1/sync?cursor=${encodeURIComponent(from)}` });
      return readStream({ send, callFrom, start: cursor, now: options.now });
    },
    close: async () => http.close(),
  };
}

/**
 * The items of a stream. The server ends it with the session that opened it; then it goes on from the last cursor under the
 * next session, as if nothing had happened; but a server that ends one after the other is not asked without end.
 */
async function* readStream(options: {
  readonly send: SignedHttp['send'];
  readonly callFrom: (cursor: Cursor) => Call;
  readonly start: Cursor;
  readonly now: () => number;
}): AsyncGenerator<StreamItem, void, undefined> {
  const { send, callFrom, now } = options;
  let cursor = options.start;
  let isCaughtUp = false;
  let short = 0;
  for (;;) {
    let isRenewed = false;
    const begunAt = now();
    for await (const item of readItems(await send(callFrom(cursor)))) {
      if ('cursor' in item) cursor = item.cursor;
      isRenewed = item.type === 'closing' && item.reason === 'session-expired' && item.resumable;
      const isRepeated = item.type === 'caught-up' && isCaughtUp;
      if (item.type === 'caught-up') isCaughtUp = true;
      if (!isRenewed && !isRepeated) yield item;
    }
    short = now() - begunAt < STREAM_SHORT_MS ? short + 1 : 0;
    if (!isRenewed || short > SHORT_STREAMS_MAX) return;
  }
}

async function* readItems(answer: HttpAnswer): AsyncGenerator<StreamItem, void, undefined> {
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
