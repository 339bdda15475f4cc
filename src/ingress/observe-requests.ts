import { performance } from 'node:perf_hooks';
import type { Request, RequestHandler } from 'express';
import type { IngressObserver } from './observer.ts';

/** Measures each request from its head to the end of its answer. */
export const observeRequests =
  (observer: Pick<IngressObserver, 'answered'>): RequestHandler =>
  (request, response, next) => {
    const startedAt = performance.now();
    response.once('close', () => {
      const status = response.writableFinished ? response.statusCode : 'aborted';
      observer.answered(routeOf(request), status, (performance.now() - startedAt) / 1_000);
    });
    next();
  };

/** The pattern of a route; `other` where there is none, because anybody can make up a path. */
function routeOf({ route, baseUrl }: Request): string {
  const path: unknown = route?.path;
  if (typeof path !== 'string') return 'other';
  return baseUrl !== '' && path === '/' ? baseUrl : `${baseUrl}${path}`;
}
