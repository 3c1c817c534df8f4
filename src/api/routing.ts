import Router from '@koa/router';
import type Koa from 'koa';
import type { RouteMiddleware } from './pipeline.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes.ts';

/**
 * Hands each request to its route. There is a router for each area of the API, by the first two segments of the path, which have no
 * parameters: one router for all would try every pattern there is on every request.
 */
export function createRouting(pipeline: (route: Route) => RouteMiddleware): Koa.Middleware {
  const routers = new Map<string, ReturnType<typeof newRouter>>();
  for (const route of ROUTES) {
    const area = areaOf(route.path);
    const router = routers.get(area) ?? newRouter();
    routers.set(area, router);
    router[route.method](route.path, pipeline(route));
  }
  // what a router asks of its context it puts there itself
  const byArea = new Map(Array.from(routers, ([area, router]) => [area, router.routes() as Koa.Middleware]));
  return (ctx, next) => byArea.get(areaOf(ctx.path))?.(ctx, next) ?? next();
}

function newRouter() {
  return new Router({ strict: true, sensitive: true });
}

/** `/v1/groups` of `/v1/groups/:group/messages`; all of a shorter path. */
function areaOf(path: string): string {
  const second = path.indexOf('/', 1);
  const end = second < 0 ? -1 : path.indexOf('/', second + 1);
  return end < 0 ? path : path.slice(0, end);
}
