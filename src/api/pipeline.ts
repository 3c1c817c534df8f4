import type { RouterContext } from '@koa/router';
import type Koa from 'koa';
import type { Logger } from 'pino';
import { z } from 'zod';
import { parseRegistration, statementToSign } from '../wire/account-statement.ts';
import { concatBytes, toUtf8 } from '../wire/bytes.ts';
import { type ClientId, deviceIdOf, isClientId } from '../wire/ids.ts';
import { ProblemError } from '../wire/problems.ts';
import type { RegisterRequest } from '../wire/schemas/accounts.ts';
import { type Authenticator, createAuthenticator, type OpenedSignature, unauthenticated } from './auth/authenticate.ts';
import { createDeviceKeys, verifyEd25519 } from './auth/device-keys.ts';
import { createTokenBuckets } from './auth/token-buckets.ts';
import type { ApiDeps } from './deps.ts';
import { checkBodyHeaders, hasBody, readBody } from './http/body.ts';
import { decodeBody, encodeValue, MEDIA_TYPES, representationFor } from './http/negotiate.ts';
import { notReady } from './http/problem.ts';
import type { Answer, Registrant, Route, Shared } from './route.ts';
import { sha256 } from './sha256.ts';

/** A route as the router takes it. */
export type RouteMiddleware = (ctx: RouterContext) => Promise<void>;

/**
 * One request from its headers to its answer, in the order that makes a flood cheap: length, address, form and time of
 * the signature, key, the device's rate; only then the body, its digest, replay and the signature itself; only then
 * the schemas and the handler.
 */
export function createPipeline(deps: ApiDeps, shared: Shared): (route: Route) => RouteMiddleware {
  const { limits, operation } = deps;
  const authenticator = createAuthenticator(deps);
  const addresses = createTokenBuckets({ perSecond: operation.addressPerSecond, burst: operation.addressBurst });
  const devices = createTokenBuckets({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst });
  const keys = createDeviceKeys();

  return (route) => async (ctx) => {
    const { req } = ctx;
    const now = deps.now();
    const maxBytes = route.maxBytes?.(limits) ?? limits.requestMaxBytes;
    checkBodyHeaders(req, maxBytes);
    take(addresses, ctx.ip, now);
    if (route.auth !== 'public') checkReady(deps);
    const caller = route.auth === 'public' ? undefined : await authenticate(ctx, route, maxBytes, now);
    const params = parse(route.params, ctx.params, 'the path');
    const query = parse(route.query, queryOf(ctx), 'the query');
    const call = {
      deps,
      shared,
      params,
      query,
      body: caller?.body,
      caller: caller?.caller,
      now,
      requestId: route.idempotent === true ? idempotencyKey(ctx) : ('' as ClientId),
      requestDigest: caller?.digest ?? NO_DIGEST,
      accept: ctx.get('accept') || undefined,
      request: req,
      response: ctx.res,
    };
    respond(ctx, await route.handle(call as never), deps.logger);
  };

  async function authenticate(ctx: Koa.Context, route: Route, maxBytes: number, now: number) {
    const { req } = ctx;
    const opened = authenticator.open(req);
    const device = route.auth === 'device' ? deps.readModel.device(opened.keyid as never) : undefined;
    if (route.auth === 'device' && device === undefined) {
      throw unauthenticated('unknown-key', 'no device with this key is registered here');
    }
    take(devices, opened.keyid, now);
    const bytes = hasBody(req) ? await readBody(req, maxBytes, operation.bodyTimeoutMs) : undefined;
    if (device === undefined) return await authenticateRegistrant(authenticator, opened, ctx, route, bytes);
    await authenticator.prove(opened, device.key, req, bytes);
    return { caller: device, body: bodyOf(ctx, route, bytes), digest: digestOf(ctx, route, bytes) };
  }

  /** The key comes with the body: it has to be the one that the signature names, and to have signed the statement. */
  async function authenticateRegistrant(
    prover: Authenticator,
    opened: OpenedSignature,
    ctx: Koa.Context,
    route: Route,
    bytes: Uint8Array | undefined,
  ) {
    const body = bodyOf(ctx, route, bytes) as RegisterRequest;
    const parsed = parseRegistration(body.statement);
    if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
    const { statement } = parsed;
    const { key } = statement.device;
    const device = deviceIdOf(key, sha256);
    if (device !== opened.keyid)
      throw unauthenticated('unknown-key', 'the signature names another key than the statement');
    await prover.prove(opened, key, ctx.req, bytes);
    if (!(await verifyEd25519(keys.get(key), statementToSign(body.statement), body.signature))) {
      throw unauthenticated('bad-signature', 'the statement is not signed by its device key');
    }
    const caller: Registrant = { device, statement };
    return { caller, body, digest: digestOf(ctx, route, bytes) };
  }
}

const NO_DIGEST = new Uint8Array(32);
const SEPARATOR = Uint8Array.of(0);

function take(buckets: ReturnType<typeof createTokenBuckets>, key: string, now: number): void {
  const wait = buckets.take(key, now);
  if (wait > 0) throw new ProblemError('rate-limited', 'too many requests', { retryAfterSeconds: wait });
}

function checkReady({ readModel, closing }: ApiDeps): void {
  if (closing.aborted) throw notReady('the server is closing');
  const readiness = readModel.readiness();
  if (!readiness.ready) throw notReady('the server is not ready; /readyz says why');
}

function bodyOf(ctx: Koa.Context, route: Route, bytes: Uint8Array | undefined): unknown {
  if (route.body === undefined) {
    if (bytes !== undefined) throw new ProblemError('invalid-request', 'this request has no body');
    return undefined;
  }
  if (bytes === undefined) throw new ProblemError('invalid-request', 'this request needs a body');
  return parse(route.body, decodeBody(ctx.get('content-type'), bytes), 'the body');
}

/** The method and the path belong to it: one key for two resources is a conflict too. */
function digestOf(ctx: Koa.Context, route: Route, bytes: Uint8Array | undefined): Uint8Array {
  if (route.idempotent !== true) return NO_DIGEST;
  const body = sha256(bytes ?? new Uint8Array(0));
  return sha256(concatBytes(toUtf8(ctx.method), SEPARATOR, toUtf8(ctx.path), SEPARATOR, body));
}

function idempotencyKey(ctx: Koa.Context): ClientId {
  const key = ctx.get('idempotency-key');
  if (!isClientId(key)) {
    throw new ProblemError('invalid-request', 'Idempotency-Key has 16–64 characters of A–Z a–z 0–9 _ -');
  }
  return key;
}

function parse(schema: z.ZodType | undefined, value: unknown, what: string): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ProblemError('invalid-request', `${what} is not as it should be: ${z.prettifyError(parsed.error)}`);
}

function queryOf(ctx: Koa.Context): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(ctx.querystring)) {
    if (Object.hasOwn(query, name)) throw new ProblemError('invalid-request', `the query names ${name} twice`);
    query[name] = value;
  }
  return query;
}

function respond(ctx: Koa.Context, answer: Answer, logger: Logger): void {
  switch (answer.kind) {
    case 'value': {
      const representation = representationFor(ctx.get('accept') || undefined);
      write(ctx, answer.status, MEDIA_TYPES[representation], encodeValue(answer.value, representation));
      return;
    }
    case 'bytes':
      write(ctx, answer.status, answer.type, answer.body);
      return;
    case 'stream':
      ctx.respond = false;
      answer.run().catch((error: unknown) => {
        logger.error({ type: error instanceof Error ? error.name : typeof error }, 'a stream failed');
        ctx.res.destroy();
      });
      return;
    default:
      answer satisfies never;
  }
}

function write(ctx: Koa.Context, status: number, type: string, body: Uint8Array | string): void {
  ctx.status = status;
  ctx.set('content-type', type);
  ctx.set('vary', 'accept');
  ctx.body = typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
