import type { RouterContext } from '@koa/router';
import type Koa from 'koa';
import { z } from 'zod';
import { concatBytes, toUtf8 } from '../wire/bytes.ts';
import { type ClientId, deviceIdOf, type GroupId, isClientId } from '../wire/ids.ts';
import { ProblemError } from '../wire/problems.ts';
import { createAuthenticator, type OpenedSignature, unauthenticated } from './auth/authenticate.ts';
import { newcomerOf } from './auth/newcomer.ts';
import { createTokenBuckets } from './auth/token-buckets.ts';
import type { ApiDeps } from './deps.ts';
import type { Admission } from './http/admission.ts';
import { checkBodyHeaders, hasBody, readBody } from './http/body.ts';
import { createBodyBudget } from './http/body-budget.ts';
import { networkOf } from './http/caller-network.ts';
import { decodeBody } from './http/negotiate.ts';
import { notReady } from './http/problem.ts';
import { respond } from './http/respond.ts';
import { createUnreadAnswers } from './http/unread-answers.ts';
import type { Route, Shared } from './route.ts';
import { sha256 } from './sha256.ts';
import { judgedOnNewest } from './writes/judged-on-newest.ts';

/** A route as the router takes it. */
export type RouteMiddleware = (ctx: RouterContext) => Promise<void>;

/**
 * One request from its headers to its answer, in the order that makes a flood cheap: length, address, form and time of
 * the signature, ticket, device, the device's rate; only then the body, its digest, replay and the signature itself;
 * only then the schemas and the handler.
 *
 * Signatures that turn out wrong are counted against the address they come from, never against the device they name:
 * a forger buys few checks, and takes nothing from whom it names.
 */
export function createPipeline(
  deps: ApiDeps,
  shared: Shared,
  admission: Pick<Admission, 'leave' | 'awaitBody' | 'bodyCame'>,
): (route: Route) => RouteMiddleware {
  const { limits, operation } = deps;
  const authenticator = createAuthenticator(deps);
  const addresses = createTokenBuckets({ perSecond: operation.addressPerSecond, burst: operation.addressBurst });
  const failures = createTokenBuckets({ perSecond: limits.failuresPerSecond, burst: limits.failuresBurst });
  const registrations = createTokenBuckets({
    perSecond: limits.registrationsPerMinute / 60,
    burst: limits.registrationsPerMinute,
  });
  const offers = createTokenBuckets({
    perSecond: limits.deviceOffersPerMinute / 60,
    burst: limits.deviceOffersPerMinute,
  });
  const devices = createTokenBuckets({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst });
  const bodies = createBodyBudget();
  const unread = createUnreadAnswers(operation.drainTimeoutMs);

  return (route) => {
    const maxBytes = route.maxBytes?.(limits) ?? limits.requestMaxBytes;
    return async (ctx) => {
      const { req } = ctx;
      const now = deps.now();
      checkBodyHeaders(req, maxBytes);
      const address = networkOf(ctx.ip);
      turnAway(addresses.take(address, now));
      if (route.auth === 'public') expectReader(ctx, address);
      else checkReady(deps);
      const caller = route.auth === 'public' ? undefined : await authenticate(ctx, route, maxBytes, now);
      admission.leave(ctx.res);
      const params = parse(route.params, ctx.params, 'the path');
      const query = route.query === undefined ? undefined : parse(route.query, queryOf(ctx), 'the query');
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
        sessionEndsAt: caller?.sessionEndsAt,
        address,
        accept: ctx.get('accept') || undefined,
        request: req,
        response: ctx.res,
      };
      const about = params as { readonly group?: GroupId } | undefined;
      respond(ctx, await judgedOnNewest(deps, () => route.handle(call as never), about), deps.logger);
    };
  };

  async function authenticate(ctx: Koa.Context, route: Route, maxBytes: number, now: number) {
    const { req } = ctx;
    const opened = authenticator.open(req, route.auth === 'device' ? route.proof : 'device-key');
    const device = route.auth === 'device' ? deps.readModel.device(opened.device) : undefined;
    if (route.auth === 'device' && device === undefined) {
      if (deps.readModel.isRevoked(opened.device)) throw unauthenticated('revoked', 'this device was revoked');
      throw unauthenticated('unknown-key', 'no device with this key is registered here');
    }
    if (device !== undefined && opened.session !== undefined && opened.session.account !== device.account) {
      throw unauthenticated('session-expired', 'this session is of another account');
    }
    turnAway(devices.wait(opened.device, now));
    const bytes = hasBody(req) ? await receiveBody(ctx, route, maxBytes) : undefined;
    if (device === undefined) return await authenticateRegistrant(opened, ctx, route, bytes);
    turnAway(devices.take(opened.device, now));
    const bodyDigest = await prove(opened, device.key, ctx, bytes).catch((error: unknown) => {
      devices.refund(opened.device, now);
      throw error;
    });
    expectReader(ctx, device.id);
    return {
      caller: device,
      body: bodyOf(ctx, route, bytes),
      digest: digestOf(ctx, route, bodyDigest),
      sessionEndsAt: opened.session?.expiresAt,
    };
  }

  /** Who does not read what it asked for is asked to, before there is more of it. */
  function expectReader(ctx: Koa.Context, reader: string): void {
    turnAway(unread.isFull(reader) ? READ_FIRST_SECONDS : 0);
    unread.add(reader, ctx.res);
  }

  async function receiveBody({ req, res, ip }: Koa.Context, route: Route, maxBytes: number): Promise<Uint8Array> {
    const address = networkOf(ip);
    const length = Number(req.headers['content-length'] ?? maxBytes);
    turnAway(bodies.take(address, length) ? 0 : BODIES_RETRY_SECONDS);
    admission.awaitBody(res);
    try {
      const bytes = await readBody(req, maxBytes, route.bodyTimeoutMs ?? operation.bodyTimeoutMs);
      admission.bodyCame(res);
      return bytes;
    } finally {
      bodies.give(address, length);
    }
  }

  /** A session's signature is so cheap that the rate of its address is limit enough. */
  async function prove(opened: OpenedSignature, key: Uint8Array, ctx: Koa.Context, bytes: Uint8Array | undefined) {
    if (opened.session !== undefined) return await authenticator.prove(opened, key, ctx.req, bytes);
    const now = deps.now();
    const address = networkOf(ctx.ip);
    turnAway(failures.wait(address, now));
    try {
      return await authenticator.prove(opened, key, ctx.req, bytes);
    } catch (error) {
      if (error instanceof ProblemError && error.members.reason === 'bad-signature') failures.charge(address, now);
      throw error;
    }
  }

  /** The key comes with the body: it has to be the one that the signature names, and to have signed the statement. */
  async function authenticateRegistrant(
    opened: OpenedSignature,
    ctx: Koa.Context,
    route: Route,
    bytes: Uint8Array | undefined,
  ) {
    const body = bodyOf(ctx, route, bytes);
    const { key, says, signed } = newcomerOf(route, body);
    const device = deviceIdOf(key, sha256);
    if (device !== opened.device)
      throw unauthenticated('unknown-key', 'the signature names another key than the statement');
    const address = networkOf(ctx.ip);
    turnAway((route.auth === 'offer' ? offers : registrations).take(address, deps.now()));
    const bodyDigest = await prove(opened, key, ctx, bytes);
    if (
      signed !== undefined &&
      !(await deps.signatures.check({ key, data: signed.message, signature: signed.signature }))
    ) {
      failures.charge(address, deps.now());
      throw unauthenticated('bad-signature', 'the statement is not signed by its device key');
    }
    const caller = { device, ...says };
    return { caller, body, digest: digestOf(ctx, route, bodyDigest), sessionEndsAt: undefined };
  }
}

const READ_FIRST_SECONDS = 1;
const BODIES_RETRY_SECONDS = 1;
const NO_DIGEST = new Uint8Array(32);
const NO_BODY_DIGEST = sha256(new Uint8Array(0));

function turnAway(wait: number): void {
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
  const contentType = ctx.get('content-type');
  return route.readBody?.(contentType, bytes) ?? parse(route.body, decodeBody(contentType, bytes), 'the body');
}

/** The method and the path belong to it: one key for two resources is a conflict too. */
function digestOf(ctx: Koa.Context, route: Route, bodyDigest: Uint8Array | undefined): Uint8Array {
  if (route.idempotent !== true) return NO_DIGEST;
  return sha256(concatBytes(toUtf8(`${ctx.method}\0${ctx.path}\0`), bodyDigest ?? NO_BODY_DIGEST));
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
  if (ctx.querystring === '') return query;
  for (const [name, value] of new URLSearchParams(ctx.querystring)) {
    if (Object.hasOwn(query, name)) throw new ProblemError('invalid-request', `the query names ${name} twice`);
    query[name] = value;
  }
  return query;
}
