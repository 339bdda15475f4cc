/** The HTTP server of an ingress, with a bound on all that a sender can make it hold. */
import {
  createServer,
  IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http';
import type { Express, RequestHandler } from 'express';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/** What a connection may hold, and for how long. */
export interface ConnectionBounds {
  readonly headMs: number;
  readonly requestMs: number;
  readonly idleMs: number;
  /** How often connections are looked at whose request takes too long. */
  readonly lookMs: number;
  readonly connections: number;
  readonly requestsPerConnection: number;
}

const BOUNDS: ConnectionBounds = {
  headMs: LIMITS.requestHeadMsMax,
  requestMs: LIMITS.requestMsMax,
  idleMs: LIMITS.connectionIdleMsMax,
  lookMs: 5_000,
  connections: LIMITS.connectionsMax,
  requestsPerConnection: LIMITS.requestsPerConnectionMax,
};

export function createBoundedServer(app: Express, bounds: ConnectionBounds = BOUNDS): Server {
  const server = createServer(
    {
      ...exchangeClasses(app),
      headersTimeout: bounds.headMs,
      requestTimeout: bounds.requestMs,
      connectionsCheckingInterval: bounds.lookMs,
      maxHeaderSize: LIMITS.requestHeadBytesMax,
    },
    app,
  );
  server.maxConnections = bounds.connections;
  server.maxRequestsPerSocket = bounds.requestsPerConnection;
  // Node drops what is beyond without a word; `fewHeaders` refuses it.
  server.maxHeadersCount = 0;
  server.setTimeout(bounds.idleMs);
  return server;
}

/**
 * What the server makes requests and responses of. Express gives each the prototype of its app, and an object whose
 * prototype changes is slow from then on, in Node's own code too: a quarter of the processor time of a webhook. Those
 * made with that prototype have nothing to change.
 */
function exchangeClasses(app: Express): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<Q extends IncomingMessage> extends ServerResponse<Q> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  app.request = AppRequest.prototype as typeof app.request;
  app.response = AppResponse.prototype as typeof app.response;
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}

/** Refuses what has too many headers. */
export const fewHeaders: RequestHandler = ({ rawHeaders }, _response, next) => {
  if (rawHeaders.length <= 2 * LIMITS.requestHeadersMax) return next();
  throw new TidegateError(
    'too_many_headers',
    `The request has over ${LIMITS.requestHeadersMax} headers: send fewer.`,
  );
};

const DRAIN_MS_MAX = 5_000;

/** Answers the requests in hand and takes no more; what is not answered in time is cut off. */
export async function closeServer(server: Server): Promise<void> {
  // Else a connection that is kept alive brings new requests until it is cut off in the middle of one.
  server.prependListener('request', (_request, response) => {
    response.setHeader('Connection', 'close');
  });
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS_MAX);
  await closed;
  clearTimeout(timer);
}
