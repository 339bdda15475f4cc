/** `/metrics`, `/healthz` and `/readyz` of a worker, which has no other HTTP. */
import { createServer } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import { listen } from '../http/listen.ts';
import { sendProblem } from '../http/problem.ts';
import { healthz, type ReadinessChecks, readyz } from '../ingress/health.ts';
import { TidegateError } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';
import { type MetricsAccess, metricsRouter } from './router.ts';
import type { MetricsText } from './temporal-metrics.ts';

export interface MetricsServer {
  stop(): Promise<void>;
}

export interface MetricsServerOptions extends MetricsAccess {
  readonly host: string;
  readonly port: number;
  /** What `/readyz` asks. */
  readonly checks: ReadinessChecks;
  /** Whether the process takes its leave: `/readyz` says so. @default never */
  readonly isStopping?: () => boolean;
  readonly logger: Logger;
}

/** @throws TidegateError `port_taken` */
export async function startMetricsServer(
  registry: MetricsText,
  options: MetricsServerOptions,
): Promise<MetricsServer> {
  const app = express().disable('x-powered-by').disable('etag');
  app.use('/metrics', metricsRouter(registry, options));
  app.get('/healthz', healthz);
  app.get('/readyz', readyz(options.checks, options.logger, options.isStopping));
  app.use(() => {
    throw new TidegateError('not_found', 'There is only /metrics, /healthz and /readyz here.');
  });
  // Express tells an error handler by its four parameters.
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
    sendProblem(response, error),
  );
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, app);
  server.maxConnections = 100;
  const { host, port } = options;
  await listen(server, { host, port, what: 'the metrics', variable: 'METRICS_PORT' });
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
