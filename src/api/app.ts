import Router from '@koa/router';
import Koa from 'koa';
import { ProblemError } from '../wire/problems.ts';
import type { ApiDeps } from './deps.ts';
import { observe } from './http/observe.ts';
import { createMetrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { createPipeline } from './pipeline.ts';
import { ROUTES } from './routes.ts';
import { createStreamRegistry } from './sync/stream-registry.ts';
import { WRITE_TIMEOUT_MS } from './writes/append-request.ts';
import { createArrivals } from './writes/arrivals.ts';
import { createClaimLimits } from './writes/claim-limits.ts';
import { createGate } from './writes/gate.ts';
import { createPublicGroups } from './writes/public-groups.ts';

/**
 * The HTTP API as a Koa application. It holds no state that matters: rate limits, the replay set, open streams and groups opened before.
 *
 * @example
 * const app = createApp(deps);
 * createServer(app.callback()).listen(4000, '127.0.0.1');
 */
export function createApp(deps: ApiDeps): Koa {
  const gate = createGate(deps.operation.appendsInFlight);
  const streams = createStreamRegistry(deps.limits.streamsPerDevice);
  const metrics = createMetrics({ readModel: deps.readModel, streams, gate });
  const pipeline = createPipeline(deps, {
    gate,
    arrivals: createArrivals(deps.readModel, WRITE_TIMEOUT_MS),
    streams,
    claimLimits: createClaimLimits(),
    publicGroups: createPublicGroups(),
    renderMetrics: metrics.render,
    openapi: JSON.stringify(openApiDocument(deps.version)),
  });

  const router = new Router({ strict: true, sensitive: true });
  for (const route of ROUTES) router[route.method](route.path, pipeline(route));

  const app = new Koa({ proxy: deps.behindTlsProxy, maxIpsCount: 1 });
  // whatever happens to a connection is told to its owner; Koa would print it
  app.on('error', (error: unknown) => {
    deps.logger.debug({ type: error instanceof Error ? error.name : typeof error }, 'connection failed');
  });
  app.use(observe(deps.logger, metrics));
  app.use(router.routes());
  app.use(() => {
    throw new ProblemError('not-found', 'there is no such resource');
  });
  return app;
}
