/** `/metrics` of a worker, which has no other HTTP. */
import { createServer } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Registry } from 'prom-client';
import type { Access } from '../access/authenticate.ts';
import { listen } from '../http/listen.ts';
import { sendProblem } from '../http/problem.ts';
import { TidegateError } from '../model/error.ts';
import { metricsRouter } from './router.ts';

export interface MetricsServer {
  stop(): Promise<void>;
}

/** @throws TidegateError `port_taken` */
export async function startMetricsServer(
  registry: Registry,
  { host, port, access }: { readonly host: string; readonly port: number; readonly access: Access },
): Promise<MetricsServer> {
  const app = express().disable('x-powered-by').disable('etag');
  app.use('/metrics', metricsRouter(registry, access));
  app.use(() => {
    throw new TidegateError('not_found', 'There is only /metrics here.');
  });
  // Express tells an error handler by its four parameters.
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
    sendProblem(response, error),
  );
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, app);
  server.maxConnections = 100;
  await listen(server, { host, port, what: 'the metrics', variable: 'METRICS_PORT' });
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
