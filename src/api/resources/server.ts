import { z } from 'zod';
import { SUITE_IDS, suiteNameOf } from '../../mls/suite.ts';
import { healthSchema, type ServerInfo, serverInfoSchema } from '../../wire/schemas/server-info.ts';
import type { ApiDeps } from '../deps.ts';
import { MEDIA_TYPES } from '../http/negotiate.ts';
import { answer, defineRoute } from '../route.ts';

const SERVICE_UNAVAILABLE = 503;

/** What `/readyz` says beside the reasons: which log this is and what its acknowledgements are worth. */
const readinessSchema = healthSchema.extend({
  log: z
    .object({
      incarnation: z.string(),
      serverVersion: z.string(),
      durability: z.string(),
      replicas: z.int(),
      checkpoint: z.int(),
    })
    .optional(),
});

const getHealth = defineRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'health',
  summary: 'Whether the process is alive.',
  auth: 'public',
  answers: { 200: { about: 'It is.', schema: healthSchema } },
  problems: [],
  handle: () => answer(200, { status: 'alive', reasons: [] }),
});

const getReadiness = defineRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'readiness',
  summary: 'Whether the server can serve, and if not, why; and what the log does before it acknowledges.',
  auth: 'public',
  answers: {
    200: { about: 'It can.', schema: readinessSchema },
    503: { about: 'It cannot now.', schema: readinessSchema },
  },
  problems: [],
  handle: async ({ deps }) => {
    const reasons = [...notReadyReasons(deps)];
    const log = await describeLog(deps, reasons);
    const isReady = reasons.length === 0;
    return answer(isReady ? 200 : SERVICE_UNAVAILABLE, { status: isReady ? 'ready' : 'not-ready', reasons, log });
  },
});

const getMetrics = defineRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  summary: 'Figures for Prometheus.',
  auth: 'public',
  answers: { 200: { about: 'Prometheus text format.', otherTypes: ['text/plain'] } },
  problems: [],
  handle: async ({ shared }) => {
    const { type, text } = await shared.renderMetrics();
    return { kind: 'bytes', status: 200, type, body: text };
  },
});

const getOpenApi = defineRoute({
  method: 'get',
  path: '/openapi.json',
  operationId: 'openapi',
  summary: 'This contract (OpenAPI 3.1).',
  auth: 'public',
  answers: { 200: { about: 'The document.', schema: z.looseObject({ openapi: z.string() }) } },
  problems: [],
  handle: ({ shared }) => ({ kind: 'bytes', status: 200, type: MEDIA_TYPES.json, body: shared.openapi }),
});

const getServerInfo = defineRoute({
  method: 'get',
  path: '/.well-known/mlsd',
  operationId: 'serverInfo',
  summary: 'Domain, versions, the key that signs receipts, limits.',
  auth: 'public',
  answers: { 200: { about: 'About this server.', schema: serverInfoSchema } },
  problems: [],
  handle: ({ deps, now }) => {
    const info: ServerInfo = {
      domain: deps.domain,
      version: deps.version,
      protocol: 1,
      serverKey: deps.signer.publicKey,
      ciphersuites: [SUITE_IDS[suiteNameOf(deps.suite)]],
      time: now,
      limits: { ...deps.limits, ...deps.operation },
    };
    return answer(200, info);
  },
});

export const serverRoutes = [getHealth, getReadiness, getMetrics, getOpenApi, getServerInfo];

function notReadyReasons({ readModel, closing }: ApiDeps): readonly string[] {
  const readiness = readModel.readiness();
  return [...(readiness.ready ? [] : readiness.reasons), ...(closing.aborted ? ['the server is closing'] : [])];
}

/** Asks the log; that it cannot be asked is a reason too, told without its internals. */
async function describeLog({ log, readModel }: ApiDeps, reasons: string[]) {
  try {
    const { incarnation, serverVersion, durabilityText, replicas } = await log.describe();
    const checkpoint = readModel.checkpoint().sequence;
    return { incarnation, serverVersion, durability: durabilityText, replicas, checkpoint };
  } catch {
    reasons.push('the log cannot be reached');
    return undefined;
  }
}
