import { createHash, timingSafeEqual } from 'node:crypto';
import { type Request, type RequestHandler, Router } from 'express';
import { type Access, requires } from '../access/authenticate.ts';
import { TidegateError } from '../model/error.ts';
import type { MetricsText } from './temporal-metrics.ts';

/** Who may read the metrics. */
export interface MetricsAccess {
  /** Finds callers, of whom those with `operate:read` may. */
  readonly access: Access;
  /** What Prometheus sends as bearer: good for nothing else. @default none */
  readonly token?: string;
}

/** `GET /metrics` in Prometheus's text format. */
export function metricsRouter(registry: MetricsText, { access, token }: MetricsAccess): Router {
  const router = Router();
  const isScraper = sends(token);
  const unlessScraper =
    (handler: RequestHandler): RequestHandler =>
    (request, response, next) =>
      isScraper(request) ? next() : handler(request, response, next);
  router
    .route('/')
    .get(
      unlessScraper(access.authenticate),
      unlessScraper(requires('operate:read')),
      async (_request, response) => {
        const text = await registry.metrics();
        response
          .set({ 'Cache-Control': 'no-store', 'Content-Type': registry.contentType })
          .end(text);
      },
    )
    .all((_request, response) => {
      response.set('Allow', 'GET, HEAD');
      throw new TidegateError('method_not_allowed', 'This address takes GET, HEAD only.');
    });
  return router;
}

/** Whether a request has this token; digests have one length, so that comparing tells nothing of it. */
function sends(token: string | undefined): (request: Request) => boolean {
  if (token === undefined) return () => false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const wanted = digest(`Bearer ${token}`);
  return ({ headers }) => timingSafeEqual(digest(headers.authorization ?? ''), wanted);
}
