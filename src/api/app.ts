import type { RequestListener } from 'node:http';
import Koa from 'koa';
import { ProblemError } from '../wire/problems.ts';
import { createTokenBuckets } from './auth/token-buckets.ts';
import type { ApiDeps } from './deps.ts';
import { createAdaptiveLimit } from './http/adaptive-limit.ts';
import { createAdmission, UNDER_WAY } from './http/admission.ts';
import { observe } from './http/observe.ts';
import { createMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { createPipeline } from './pipeline.ts';
import { createRouting } from './routing.ts';
import { createStreamRegistry } from './sync/stream-registry.ts';
import { WRITE_TIMEOUT_MS } from './writes/append-request.ts';
import { createArrivals } from './writes/arrivals.ts';
import { createClaimLimits } from './writes/claim-limits.ts';
import { createGate } from './writes/gate.ts';
import { createPublicGroups } from './writes/public-groups.ts';
import { createReportLimits } from './writes/report-limits.ts';

/** What a server of `node:http` is made with. */
export interface ApiApp {
  callback(): RequestListener;
}

/**
 * The HTTP API: a Koa application behind its admission. It holds no state that matters: rate limits, the replay set, open streams and groups opened before.
 *
 * @example
 * const app = createApp(deps);
 * createServer(app.callback()).listen(4000, '127.0.0.1');
 */
export function createApp(deps: ApiDeps): ApiApp {
  const writes = createAdaptiveLimit(UNDER_WAY);
  const gate = createGate(deps.operation.appendsInFlight, deps.hasRoom, writes);
  const admission = createAdmission(writes, gate);
  const streams = createStreamRegistry(deps.limits);
  const metrics = createMetrics({ readModel: deps.readModel, streams, gate, admission });
  const shared = {
    gate,
    arrivals: createArrivals(deps.readModel, WRITE_TIMEOUT_MS),
    streams,
    claimLimits: createClaimLimits(deps.limits.claimsPerMinute),
    accountChanges: createTokenBuckets({
      perSecond: deps.limits.accountChangesPerHour / 3600,
      burst: deps.limits.accountChangesPerHour,
    }),
    reportLimits: createReportLimits(),
    attachmentLimits: createTokenBuckets({
      perSecond: deps.limits.attachmentsPerMinute / 60,
      burst: deps.limits.attachmentsPerMinute,
    }),
    publicGroups: createPublicGroups(),
    renderMetrics: metrics.render,
    openapi: JSON.stringify(openApiDocument(deps.version)),
  };
  const pipeline = createPipeline(deps, shared, admission);

  const app = new Koa({ proxy: deps.behindTlsProxy, maxIpsCount: 1 });
  // whatever happens to a connection is told to its owner; Koa would print it
  app.on('error', (error: unknown) => {
    deps.logger.debug({ type: error instanceof Error ? error.name : typeof error }, 'connection failed');
  });
  app.use(observe(deps.logger, metrics));
  app.use(createRouting(pipeline));
  app.use(() => {
    throw new ProblemError('not-found', 'there is no such resource');
  });
  const handle = app.callback();
  return {
    callback: () => (request, response) => {
      if (!admission.enter(request, response)) return;
      void handle(request, response).finally(() => admission.answered(response)); // answers its failures itself
    },
  };
}
