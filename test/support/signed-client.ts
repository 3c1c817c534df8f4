import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { fromBase64Url, toBase64Url } from '../../src/wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import { contentDigest, type SignatureParameters, signRequest } from '../../src/wire/http-signature.ts';
import { type ClientId, type DeviceId, deviceIdOf, newClientId } from '../../src/wire/ids.ts';
import { toJsonValue } from '../../src/wire/json.ts';
import type { Problem } from '../../src/wire/problems.ts';

/** An Ed25519 device key, made from a seed so that a run can be repeated. */
export interface DeviceKey {
  readonly id: DeviceId;
  readonly publicKey: Uint8Array;
  sign(bytes: Uint8Array): Uint8Array;
}

const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export function createDeviceKey(seed: Uint8Array = randomBytes(32)): DeviceKey {
  const key: KeyObject = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = fromBase64Url(createPublicKey(key).export({ format: 'jwk' }).x!)!;
  return {
    id: deviceIdOf(publicKey, nodeSha256),
    publicKey,
    sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
  };
}

export const newId = (): ClientId => newClientId(Date.now(), (length) => randomBytes(length));

interface RequestOptions {
  /** A value to encode, or bytes to send as they are. */
  readonly body?: unknown;
  readonly as?: 'json' | 'cbor';
  readonly accept?: string;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly parameters?: Partial<SignatureParameters>;
  /** Changes the finished headers, for requests that have to be refused. */
  readonly tamper?: (headers: Record<string, string>) => void;
  readonly unsigned?: boolean;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** Decoded JSON or CBOR. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of the value, field by field
  readonly value: any;
}

/** A device's signed requests, without any of the client's own logic. */
export interface SignedClient {
  readonly key: DeviceKey;
  /** The response itself, for streams. */
  fetch(method: string, target: string, options?: RequestOptions): Promise<Response>;
  request(method: string, target: string, options?: RequestOptions): Promise<Answered>;
}

/** @param baseUrl read at every request: a server that restarts may change its port. */
export function createSignedClient(baseUrl: string | (() => string), key: DeviceKey = createDeviceKey()): SignedClient {
  const base = typeof baseUrl === 'string' ? () => baseUrl : baseUrl;

  async function send(method: string, target: string, options: RequestOptions = {}): Promise<Response> {
    const { as = 'cbor' } = options;
    const at = base();
    const body = options.body === undefined ? undefined : encodeBody(options.body, as);
    const headers: Record<string, string> = {
      accept: options.accept ?? `application/${as}`,
      ...(body === undefined ? {} : { 'content-type': `application/${as}` }),
      ...(options.idempotencyKey === undefined ? {} : { 'idempotency-key': options.idempotencyKey }),
      ...options.headers,
    };
    if (options.unsigned !== true) Object.assign(headers, await signatureOf(at, method, target, body, options));
    options.tamper?.(headers);
    return await fetch(`${at}${target}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async function signatureOf(
    at: string,
    method: string,
    target: string,
    body: Uint8Array | undefined,
    options: RequestOptions,
  ): Promise<Record<string, string>> {
    const url = new URL(`${at}${target}`);
    return await signRequest(
      {
        method,
        authority: url.host,
        path: url.pathname,
        query: url.search === '' ? '?' : url.search,
        ...(body === undefined ? {} : { contentDigest: contentDigest(body, nodeSha256) }),
        ...(options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey }),
      },
      {
        created: Math.floor(Date.now() / 1000),
        nonce: toBase64Url(randomBytes(16)),
        keyid: key.id,
        alg: 'ed25519',
        ...options.parameters,
      },
      key.sign,
    );
  }

  return {
    key,
    fetch: send,
    async request(method, target, options) {
      const response = await send(method, target, options);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return { status: response.status, headers: response.headers, bytes, value: decode(response, bytes) };
    },
  };
}

/** The problem of an answer; fails when it is none. */
export function problemOf(answered: Answered): Problem {
  const type = answered.headers.get('content-type');
  if (type !== 'application/problem+json') {
    throw new Error(
      `expected a problem, got ${answered.status} ${type}: ${JSON.stringify(toJsonValue(answered.value))}`,
    );
  }
  return answered.value as Problem;
}

/** The value of a successful answer; fails with the problem otherwise. */
export function okValue(answered: Answered): Answered['value'] {
  if (answered.status >= 300) throw new Error(`${answered.status}: ${JSON.stringify(answered.value)}`);
  return answered.value;
}

function encodeBody(body: unknown, as: 'json' | 'cbor'): Uint8Array {
  if (body instanceof Uint8Array) return body;
  return as === 'cbor' ? encodeCbor(body) : new TextEncoder().encode(JSON.stringify(toJsonValue(body)));
}

function decode(response: Response, bytes: Uint8Array): unknown {
  const type = response.headers.get('content-type') ?? '';
  if (bytes.length === 0) return undefined;
  if (type.startsWith('application/cbor')) return decodeCbor(bytes);
  const text = new TextDecoder().decode(bytes);
  return type.includes('json') ? JSON.parse(text) : text;
}
