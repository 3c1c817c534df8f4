import { randomBytes } from 'node:crypto';
import type Koa from 'koa';
import type { Logger } from 'pino';
import type { ProblemError } from '../../wire/problems.ts';
import type { Metrics } from '../metrics.ts';
import { MEDIA_TYPES } from './negotiate.ts';
import { toProblem } from './problem.ts';

const REQUEST_ID_BYTES = 6;

/** The headers of every answer: nothing here is for a browser to run, to sniff or to keep. */
const COMMON_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

/**
 * Outermost: gives each request an id, turns whatever is thrown into a problem, counts and logs. What is logged is
 * method, route pattern, status and times: never a path, a query, a header, a name or a body (D14).
 */
export function observe(logger: Logger, metrics: Metrics): Koa.Middleware {
  const prefix = randomBytes(REQUEST_ID_BYTES).toString('base64url');
  let count = 0;
  return async (ctx, next) => {
    const startedAt = performance.now();
    count += 1;
    const id = `${prefix}-${count}`;
    ctx.set('x-request-id', id);
    ctx.set(COMMON_HEADERS);
    let problem: ProblemError | undefined;
    try {
      await next();
    } catch (thrown) {
      problem = toProblem(thrown);
      writeProblem(ctx, problem);
      if (problem.status >= 500) {
        logger.error({ id, route: routeOf(ctx), code: problem.code, cause: describeCause(problem) }, 'request failed');
      }
    }
    const seconds = (performance.now() - startedAt) / 1000;
    metrics.request(ctx.method, routeOf(ctx), ctx.status, problem?.code, seconds);
    logger.debug({ id, method: ctx.method, route: routeOf(ctx), status: ctx.status, code: problem?.code, seconds });
  };
}

function writeProblem(ctx: Koa.Context, problem: ProblemError): void {
  ctx.status = problem.status;
  ctx.set('content-type', MEDIA_TYPES.problem);
  if (problem.retryAfterSeconds !== undefined) ctx.set('retry-after', String(problem.retryAfterSeconds));
  // what was not read of the request will not be: the connection cannot be used again
  if (!ctx.req.complete) ctx.set('connection', 'close');
  ctx.body = JSON.stringify(problem.toProblem());
}

/** The pattern, such as `/v1/groups/:group`: a path would tell who does what. */
function routeOf(ctx: Koa.Context): string {
  const matched: unknown = ctx['_matchedRoute'];
  return typeof matched === 'string' ? matched : 'unknown';
}

/** Class, code and place of what went wrong inside; messages may quote what a caller sent, so they stay out. */
function describeCause({ cause }: ProblemError): Record<string, unknown> | undefined {
  if (!(cause instanceof Error)) return cause === undefined ? undefined : { type: typeof cause };
  const frames = (cause.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { type: cause.name, ...('code' in cause ? { code: cause.code } : {}), at: frames.slice(0, 8) };
}
