import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { DeviceView } from '../projections/read-model.ts';
import type { LaterStatement } from '../wire/account-chain.ts';
import type { RegistrationStatement } from '../wire/account-statement.ts';
import type { DeviceOffer } from '../wire/device-offer.ts';
import type { ClientId, DeviceId } from '../wire/ids.ts';
import type { Limits } from '../wire/limits.ts';
import type { ProblemCode } from '../wire/problems.ts';
import type { TokenBuckets } from './auth/token-buckets.ts';
import type { ApiDeps } from './deps.ts';
import type { StreamRegistry } from './sync/stream-registry.ts';
import type { Arrivals } from './writes/arrivals.ts';
import type { ClaimLimits } from './writes/claim-limits.ts';
import type { Gate } from './writes/gate.ts';
import type { PublicGroups } from './writes/public-groups.ts';

/** Who may call: anybody, a registered device, or a device that is about to be one (of a new account, one recovered, or one it asks to belong to). */
export type AuthKind = 'public' | 'device' | 'registration' | 'recovery' | 'offer';

/** A device that proved a key which its statement, not the log, speaks for. */
export interface Registrant {
  readonly device: DeviceId;
  readonly statement: RegistrationStatement;
}

/** The same for a device that the recovery key of an account speaks for; whether it does is for the handler to say. */
export interface RecoveringDevice {
  readonly device: DeviceId;
  readonly statement: LaterStatement & { readonly type: 'add-device' };
}

/** A device that nobody knows yet, and that wishes to belong to an account: its key has signed the offer. */
export interface OfferingDevice {
  readonly device: DeviceId;
  readonly offer: DeviceOffer;
}

/** What lives as long as the app and is shared by its requests. */
export interface Shared {
  readonly gate: Gate;
  readonly arrivals: Arrivals;
  readonly streams: StreamRegistry;
  readonly claimLimits: ClaimLimits;
  /** Changes of one account, by its id. */
  readonly accountChanges: TokenBuckets;
  /** Reports of a device. */
  readonly reportLimits: TokenBuckets;
  /** Attachments that a device stores or fetches. */
  readonly attachmentLimits: TokenBuckets;
  readonly publicGroups: PublicGroups;
  readonly renderMetrics: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly openapi: string;
}

/** One request, authenticated and checked against the route's schemas. */
export interface Call<Params, Query, Body, Caller> {
  readonly deps: ApiDeps;
  readonly shared: Shared;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  /** When the request came, milliseconds since 1970. */
  readonly now: number;
  /** Of an idempotent route, else empty. */
  readonly requestId: ClientId;
  /** Of an idempotent route SHA-256 over method, path and body: the same request id with another one is a conflict. */
  readonly requestDigest: Uint8Array;
  /** When the session that signed the request ends, milliseconds since 1970; `undefined` when the device key signed. */
  readonly sessionEndsAt: number | undefined;
  /** What the caller's network address is counted under, see `networkOf`. */
  readonly address: string;
  readonly accept: string | undefined;
  /** For answers that go on: the raw request and response. */
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** What a handler gives back. */
export type Answer =
  | { readonly kind: 'value'; readonly status: number; readonly value: unknown }
  /** Encoded already. */
  | { readonly kind: 'bytes'; readonly status: number; readonly type: string; readonly body: Uint8Array | string }
  /** The handler writes the response itself from here on. */
  | { readonly kind: 'stream'; readonly run: () => Promise<void> };

export function answer(status: number, value: unknown): Answer {
  return { kind: 'value', status, value };
}

export interface RouteAnswer {
  readonly about: string;
  readonly schema?: z.ZodType;
  /** Media types beside JSON and CBOR of `schema`. */
  readonly otherTypes?: readonly string[];
}

interface RouteBase {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `:name` for parameters, as the router takes it. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  /** `Idempotency-Key` is needed. */
  readonly idempotent?: boolean;
  /** The device key itself has to sign, a session does not do: for what changes who somebody is. */
  readonly proof?: 'device-key';
  readonly maxBytes?: (limits: Limits) => number;
  /** For bodies that may take longer than others. */
  readonly bodyTimeoutMs?: number;
  /** A short way to the body's value, by its `Content-Type`; `undefined` leaves it to the schema, and so does its absence. */
  readonly readBody?: (contentType: string | undefined, bytes: Uint8Array) => unknown;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** Problems beside those that every route of its kind may answer. */
  readonly problems: readonly ProblemCode[];
}

/** A row of the route table: the router and the OpenAPI document are both made from it. */
export interface Route extends RouteBase {
  readonly auth: AuthKind;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  readonly handle: (call: Call<never, never, never, never>) => Promise<Answer> | Answer;
}

interface CallerOf {
  public: undefined;
  device: DeviceView;
  registration: Registrant;
  recovery: RecoveringDevice;
  offer: OfferingDevice;
}

type Parsed<Schema> = Schema extends z.ZodType<infer Output> ? Output : undefined;

/** Ties a handler's types to the schemas beside it. */
export function defineRoute<
  Auth extends AuthKind,
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  route: RouteBase & {
    readonly auth: Auth;
    readonly params?: Params;
    readonly query?: Query;
    readonly body?: Body;
    readonly handle: (
      call: Call<Parsed<Params>, Parsed<Query>, Parsed<Body>, CallerOf[Auth]>,
    ) => Promise<Answer> | Answer;
  },
): Route {
  return route as unknown as Route;
}
