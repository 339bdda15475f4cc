import { Router } from 'express';
import type { Registry } from 'prom-client';
import { type Access, requires } from '../access/authenticate.ts';
import { TidegateError } from '../model/error.ts';

/** `GET /metrics` in Prometheus's text format, for who may do `operate:read`. */
export function metricsRouter(registry: Registry, { authenticate }: Access): Router {
  const router = Router();
  router
    .route('/')
    .get(authenticate, requires('operate:read'), async (_request, response) => {
      const text = await registry.metrics();
      response.set({ 'Cache-Control': 'no-store', 'Content-Type': registry.contentType }).end(text);
    })
    .all((_request, response) => {
      response.set('Allow', 'GET, HEAD');
      throw new TidegateError('method_not_allowed', 'This address takes GET, HEAD only.');
    });
  return router;
}
