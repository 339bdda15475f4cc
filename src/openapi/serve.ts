import { Router } from 'express';
import type { Access } from '../access/authenticate.ts';
import { TidegateError } from '../model/error.ts';
import type { OpenApiDocument } from './document.ts';

/**
 * `GET /openapi.json`, to be mounted at that address. It names the event types of the project, so it
 * asks for a credential like the rest; of any kind.
 */
export function openApiRouter(
  document: OpenApiDocument,
  { authenticate }: Pick<Access, 'authenticate'>,
): Router {
  const text = JSON.stringify(document);
  const router = Router();
  router.use(authenticate);
  router
    .route('/')
    .get((_request, response) => {
      response.set('Cache-Control', 'no-store').type('application/json').send(text);
    })
    .all((_request, response) => {
      response.set('Allow', 'GET, HEAD');
      throw new TidegateError('method_not_allowed', 'This address takes GET, HEAD only.');
    });
  return router;
}
