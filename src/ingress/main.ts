/** The ingress as a process runs it: HTTP in, journal, dispatch. A composition root. */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client, type Connection } from '@temporalio/client';
import { approvalRouter } from '../approvals/router.ts';
import type { Config } from '../config.ts';
import { countOldSenders } from '../contracts/old-senders.ts';
import { temporalDeliver } from '../dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../dispatch/dispatcher.ts';
import { pressureMeter } from '../dispatch/pace.ts';
import { startReconciler } from '../dispatch/reconcile.ts';
import type { Journal } from '../journal/journal.ts';
import type { Contract, EventCatalogue, OldSenders } from '../model/contract.ts';
import { TidegateError } from '../model/error.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import type { ListedConnector } from '../operator/connectors.ts';
import { operatorRouter } from '../operator/router.ts';
import { temporalRunOperations } from '../operator/run-operations.ts';
import type { Logger } from '../telemetry.ts';
import { lazyConnection, pingTemporal, type TemporalTarget } from '../temporal.ts';
import { createIngressApp } from './app.ts';
import { keepRegistering } from './register-search-attributes.ts';
import type { BoundSource } from './source.ts';

export interface IngressOptions {
  readonly config: Pick<Config, 'host' | 'port' | 'token' | 'publicUrl'> &
    Partial<Pick<Config, 'linkSecrets'>>;
  readonly journal: Journal;
  readonly temporal: TemporalTarget;
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly flows: FlowRegistry;
  readonly sources: readonly BoundSource[];
  readonly connectors: readonly ListedConnector[];
  /** Where people read histories, for the links that the operator API gives. */
  readonly temporalUiUrl?: string;
  readonly logger: Logger;
}

export interface RunningIngress {
  readonly url: string;
  /** Tells the dispatcher of deliveries that others have just committed. */
  readonly offer: Dispatcher['offer'];
  /** Answers the requests in hand, lets the calls in flight end, leaves the rest in the journal. */
  stop(): Promise<void>;
}

/**
 * Starts an ingress with its dispatcher and the operator API; resolves when it listens. Temporal may
 * be away.
 *
 * @throws TidegateError `port_taken`
 */
export async function startIngress(options: IngressOptions): Promise<RunningIngress> {
  const { journal, temporal, flows, logger, config } = options;
  const connection = lazyConnection(temporal);
  const client = new Client({ connection, namespace: temporal.namespace });
  const summaries = new Map(flows.flows.map(({ name, head }) => [name, head.summary]));
  let lanes: readonly number[] = [];
  const meter = pressureMeter();
  const dispatcher = createDispatcher({
    journal,
    pressure: meter.read,
    logger,
    limits: flows.limits,
    holder: randomUUID(),
    deliver: temporalDeliver(client, { summaryOf: (flow) => summaries.get(flow) }),
    onLanes: (held) => {
      lanes = held;
    },
  });
  const oldSenders = countOldSenders();
  const app = createIngressApp({
    ...options,
    oldSenders,
    journal: { ...journal, append: (entries) => meter.awaiting(journal.append(entries)) },
    ...(config.token === undefined ? {} : { token: config.token }),
    host: config.host,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
    onAppended: dispatcher.offer,
    checks: { journal: () => journal.ping(), temporal: () => pingTemporal(connection) },
    routers: [
      { path: '/api/v1', router: operator(options, client, oldSenders) },
      { path: '/approvals', router: approvals(options, client) },
    ],
  });
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 15_000 }, app);
  const address = await listen(server, config);
  dispatcher.start();
  const registration = keepRegistering(connection, temporal.namespace, logger);
  const reconciler = startReconciler({ journal, client, logger, lanes: () => lanes });
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    offer: dispatcher.offer,
    async stop() {
      await closeServer(server);
      registration.stop();
      await reconciler.stop();
      await dispatcher.stop();
      await closeConnection(connection);
    },
  };
}

function operator(options: IngressOptions, client: Client, oldSenders: OldSenders) {
  const { journal, flows, connectors, config, temporal, temporalUiUrl, logger } = options;
  return operatorRouter({
    journal,
    flows,
    connectors,
    contracts: { catalogue: options.catalogue, oldSenders },
    logger,
    runs: temporalRunOperations(client),
    namespace: temporal.namespace,
    host: config.host,
    ...(config.token === undefined ? {} : { token: config.token }),
    ...(temporalUiUrl === undefined ? {} : { temporalUiUrl }),
  });
}

function approvals({ journal, config, logger }: IngressOptions, client: Client) {
  return approvalRouter({
    journal,
    runs: temporalRunOperations(client),
    secrets: config.linkSecrets ?? [],
    host: config.host,
    logger,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
  });
}

const listen = (server: Server, { host, port }: { host: string; port: number }) =>
  new Promise<AddressInfo>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(error.code === 'EADDRINUSE' ? portTaken(host, port, error) : error);
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve(server.address() as AddressInfo);
    });
  });

const portTaken = (host: string, port: number, cause: Error): TidegateError =>
  new TidegateError(
    'port_taken',
    `Another process listens on ${host}, port ${port} (the ingress). Stop it, or set PORT to a free port.`,
    { cause },
  );

const DRAIN_MS_MAX = 5_000;

async function closeServer(server: Server): Promise<void> {
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

const closeConnection = (connection: Connection): Promise<void> => connection.close();
