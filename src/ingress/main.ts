/** The ingress as a process runs it: HTTP in, journal, dispatch. A composition root. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, type ClientOptions, type Connection } from '@temporalio/client';
import { Registry } from 'prom-client';
import { type Access, createAccess } from '../access/authenticate.ts';
import { approvalRouter } from '../approvals/router.ts';
import type { Config } from '../config.ts';
import { countOldSenders } from '../contracts/old-senders.ts';
import { type DataByReference, dataByReference, withDataByReference } from '../dataref/index.ts';
import { temporalDeliver, temporalHasTakenIn } from '../dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../dispatch/dispatcher.ts';
import { pressureMeter } from '../dispatch/pace.ts';
import { runPlaces } from '../dispatch/places.ts';
import { startReconciler } from '../dispatch/reconcile.ts';
import { startRetention } from '../dispatch/retention.ts';
import { listen } from '../http/listen.ts';
import { isLoopback } from '../http/loopback.ts';
import type { Journal } from '../journal/journal.ts';
import {
  type IngressMetrics,
  type IngressReadings,
  ingressMetrics,
} from '../metrics/ingress-metrics.ts';
import { processMetrics } from '../metrics/process-metrics.ts';
import { type MetricsAccess, metricsRouter } from '../metrics/router.ts';
import { withTemporalMetrics } from '../metrics/temporal-metrics.ts';
import type { Contract, EventCatalogue, OldSenders } from '../model/contract.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { maskingOf } from '../model/masking.ts';
import type { Retention } from '../model/retention.ts';
import { namespacesOf, ONE_PLACE, type Routes } from '../model/routes.ts';
import { openApiDocument } from '../openapi/document.ts';
import { openApiRouter } from '../openapi/serve.ts';
import { type CodecOptions, codecRouter } from '../operator/codec.ts';
import type { ListedConnector } from '../operator/connectors.ts';
import { operatorRouter } from '../operator/router.ts';
import { type RunOperations, temporalRunOperations } from '../operator/run-operations.ts';
import type { Logger } from '../telemetry.ts';
import { lazyConnection, pingTemporal, type TemporalTarget } from '../temporal.ts';
import { decideAgain } from './again.ts';
import { createIngressApp } from './app.ts';
import { closeServer, createBoundedServer } from './connections.ts';
import type { ReadinessChecks } from './health.ts';
import { type Pressure, startPressure } from './pressure.ts';
import { verifyAgain } from './raw-delivery.ts';
import { countRefusals, type Refusals } from './refusals.ts';
import { keepRegistering } from './register-search-attributes.ts';
import type { BoundSource } from './source.ts';

export interface IngressOptions {
  readonly config: Pick<Config, 'host' | 'port' | 'token' | 'publicUrl'> &
    Partial<
      Pick<
        Config,
        | 'linkSecrets'
        | 'codecOrigins'
        | 'jwt'
        | 'limits'
        | 'shedBacklog'
        | 'trustedProxies'
        | 'drainSeconds'
        | 'rawDays'
        | 'metricsToken'
      >
    >;
  /** What `tidegate dev` takes from callers where nothing is configured. */
  readonly developmentKey?: string;
  readonly journal: Journal;
  readonly temporal: TemporalTarget;
  /** Of a worker in this process, once it polls: runs begin in it. @default they begin in any worker */
  readonly workerConnection?: () => ClientOptions['connection'];
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly flows: FlowRegistry;
  /** Where tenants' runs go. @default all in the namespace of `temporal`, on one task queue */
  readonly routes?: Routes;
  readonly sources: readonly BoundSource[];
  readonly connectors: readonly ListedConnector[];
  /** How long event data is kept. @default for ever */
  readonly retention?: Retention;
  /** Decrypts payloads for people. @default nothing is encrypted, and there is no codec server */
  readonly decode?: CodecOptions['decode'];
  /** Where people read histories, for the links that the operator API gives. */
  readonly temporalUiUrl?: string;
  readonly logger: Logger;
  /** What `/metrics` answers with, where others of this process write to it too. @default one of its own */
  readonly registry?: Registry;
  /** Where the SDK of a worker in this process tells of itself, for `/metrics`. @default nowhere */
  readonly sdkMetrics?: string | undefined;
  /** What must answer too before this process is ready. @default only what an ingress needs */
  readonly checks?: ReadinessChecks;
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
  const { journal, flows, logger, config } = options;
  const { rawDays = 0 } = config;
  const byReference = dataByReference(journal);
  const temporal = {
    ...options.temporal,
    dataConverter: withDataByReference(options.temporal.dataConverter, byReference),
  };
  const connection = lazyConnection(temporal);
  const { namespace, dataConverter } = temporal;
  const client = new Client({ connection, namespace, dataConverter });
  const { routes = ONE_PLACE } = options;
  const places = runPlaces({ journal, connection, temporal, routes });
  // Routes that were taken away bind the runs that they placed, until those are settled.
  const arePlaced =
    options.routes !== undefined || (await journal.hasPlacedRuns().catch(() => true));
  const runs = temporalRunOperations(client, places.clientOfRun);
  const rules = new Map(flows.flows.map(({ name, head }) => [name, head.whenUndeliverable]));
  const summaries = new Map(flows.flows.map(({ name, head }) => [name, head.summary]));
  let lanes: readonly number[] = [];
  const meter = pressureMeter();
  let isStopping = false;
  const access = accessOf(options);
  const measured = startMeasuring(options, {
    refusedCallers: access.counts,
    lanesHeld: () => lanes.length,
    connections: () => promisify(server.getConnections).call(server),
  });
  const { metrics, pressure, refusals, oldSenders } = measured;
  const dispatcher = createDispatcher({
    journal,
    pressure: meter.read,
    logger,
    limits: flows.limits,
    whenUndeliverable: (flow) => rules.get(flow),
    holder: randomUUID(),
    deliver: metrics.delivering(
      temporalDeliver(client, {
        summaryOf: (flow) => summaries.get(flow),
        markedOf: markedOf(options),
        beside: besideWorker(options.workerConnection, { namespace, dataConverter }),
        ...(arePlaced && { placeToSend: places.placeToSend }),
      }),
    ),
    hasTakenIn: temporalHasTakenIn(places.clientOfRun),
    onLanes: (held) => {
      lanes = held;
    },
  });
  const app = createIngressApp({
    ...options,
    oldSenders,
    refusals,
    admission: pressure.admission,
    observer: metrics.observer,
    trustedProxies: config.trustedProxies ?? 0,
    isStopping: () => isStopping,
    journal: {
      ...journal,
      append: (entries) =>
        metrics.committing(pressure.awaiting(meter.awaiting(journal.append(entries)))),
    },
    access,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
    keepRaw: rawDays > 0,
    onAppended: dispatcher.offer,
    checks: {
      journal: () => journal.ping(),
      temporal: () => pingTemporal(connection),
      ...options.checks,
    },
    routers: [
      {
        path: '/api/v1',
        router: operator(options, { runs, oldSenders, access, onAppended: dispatcher.offer }),
      },
      { path: '/approvals', router: approvals(options, runs) },
      {
        path: '/metrics',
        router: metricsRouter(
          options.sdkMetrics === undefined
            ? measured.registry
            : withTemporalMetrics(measured.registry, options.sdkMetrics),
          metricsAccess(options, access),
        ),
      },
      ...codec(options, access, byReference),
      { path: '/openapi.json', router: openApiRouter(openApiDocument(options), access) },
    ],
  });
  const server = createBoundedServer(app);
  server.on('drop', metrics.connectionDropped);
  const address = await listen(server, {
    host: config.host,
    port: config.port,
    backlog: LIMITS.connectionsWaitingMax,
    what: 'the ingress',
    variable: 'PORT',
  }).catch(async (error: unknown) => {
    await pressure.stop();
    throw error;
  });
  dispatcher.start();
  const namespaces = new Set([temporal.namespace, ...namespacesOf(routes)]);
  const registrations = [...namespaces].map((namespace) =>
    keepRegistering(connection, namespace, logger),
  );
  const retention = startRetention({
    journal,
    rawDays,
    logger,
    ...(options.retention && { retention: options.retention }),
  });
  const reconciler = startReconciler({
    journal,
    client,
    logger,
    lanes: () => lanes,
    clientOf: places.clientOf,
  });
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    offer: dispatcher.offer,
    async stop() {
      isStopping = true;
      await sleep((config.drainSeconds ?? 0) * 1_000);
      await closeServer(server);
      await pressure.stop();
      for (const registration of registrations) registration.stop();
      await retention.stop();
      await reconciler.stop();
      await dispatcher.stop();
      await closeConnection(connection);
    },
  };
}

/** A client that is made when there is a worker to share the connection of. */
function besideWorker(
  workerConnection: IngressOptions['workerConnection'],
  options: Pick<ClientOptions, 'namespace' | 'dataConverter'>,
): () => Client | undefined {
  let client: Client | undefined;
  return () => {
    const connection = client === undefined ? workerConnection?.() : undefined;
    if (connection !== undefined) client = new Client({ ...options, connection });
    return client;
  };
}

/** The codec server, where payloads are encrypted. */
function codec(
  { decode, config, temporalUiUrl, logger }: IngressOptions,
  access: Access,
  { show }: DataByReference,
) {
  if (decode === undefined) return [];
  const origins = config.codecOrigins ?? originsOf(temporalUiUrl);
  const shown: CodecOptions['decode'] = async (payloads, tenant) =>
    show(await decode(payloads, tenant), tenant);
  return [{ path: '/codec', router: codecRouter({ decode: shown, access, origins, logger }) }];
}

/** A Web UI on this machine is opened by either name. */
const originsOf = (url: string | undefined): readonly string[] =>
  url === undefined ? [] : [url, url.replace('127.0.0.1', 'localhost')];

/** What is marked `pii` in the events that a flow takes; undefined where nothing is. */
function markedOf({ catalogue, flows }: IngressOptions) {
  const masking = maskingOf(catalogue);
  const marked = new Map(
    flows.flows.map(({ name, head }) => [
      name,
      head.on.flatMap((type) => {
        const paths = masking?.pathsOf(type) ?? [];
        return paths.length === 0 ? [] : [[type, paths] as const];
      }),
    ]),
  );
  return (flow: string) => {
    const entries = marked.get(flow) ?? [];
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  };
}

/** Where no credential is configured, whoever is on this machine may call; HOST is loopback then. */
function accessOf(
  { config, developmentKey, journal, logger }: IngressOptions,
  local: boolean = config.token === undefined && config.jwt === undefined,
): Access {
  const { token, jwt } = config;
  return createAccess({
    keys: journal.apiKeys,
    local,
    logger,
    ...(token === undefined ? {} : { token }),
    ...(jwt === undefined ? {} : { jwt }),
    ...(developmentKey === undefined ? {} : { developmentKey }),
  });
}

/** Whoever is on the machine may scrape an ingress that only the machine can reach. */
const metricsAccess = (options: IngressOptions, access: Access): MetricsAccess => ({
  access: isLoopback(options.config.host) ? accessOf(options, true) : access,
  ...(options.config.metricsToken && { token: options.config.metricsToken }),
});

interface Measuring {
  readonly registry: Registry;
  readonly metrics: IngressMetrics;
  readonly pressure: Pressure;
  readonly refusals: Refusals;
  readonly oldSenders: OldSenders;
}

function startMeasuring(
  { journal, config, logger, registry = new Registry() }: IngressOptions,
  read: Pick<IngressReadings, 'lanesHeld' | 'connections' | 'refusedCallers'>,
): Measuring {
  const refusals = countRefusals();
  const oldSenders = countOldSenders();
  processMetrics(registry);
  // Each knows the other: what is let in is counted, and the counts tell what is let in.
  const metrics = ingressMetrics(registry, {
    ...read,
    refusals,
    oldSenders,
    backlog: () => pressure.backlog(),
    deadLetters: () => pressure.deadLetters(),
    shedState: () => pressure.shedState(),
  });
  const pressure: Pressure = startPressure({
    journal,
    observer: metrics.observer,
    onTick: (lateMs) => metrics.eventLoopDelay(lateMs / 1_000),
    logger,
    ...(config.limits && { limits: config.limits }),
    ...(config.shedBacklog && { shedBacklog: config.shedBacklog }),
  });
  return { registry, metrics, pressure, refusals, oldSenders };
}

function operator(
  options: IngressOptions,
  others: {
    readonly runs: RunOperations;
    readonly oldSenders: OldSenders;
    readonly access: Access;
    readonly onAppended: Dispatcher['offer'];
  },
) {
  const { runs, oldSenders, access, onAppended } = others;
  const { journal, flows, connectors, temporal, temporalUiUrl, logger } = options;
  return operatorRouter({
    journal,
    flows,
    connectors,
    contracts: { catalogue: options.catalogue, oldSenders },
    logger,
    runs,
    verifyAgain: verifyAgain(options.sources),
    again: decideAgain({ ...options, oldSenders, onAppended, now: () => new Date() }),
    namespace: temporal.namespace,
    access,
    ...(temporalUiUrl === undefined ? {} : { temporalUiUrl }),
  });
}

function approvals({ journal, config, logger }: IngressOptions, runs: RunOperations) {
  return approvalRouter({
    journal,
    runs,
    secrets: config.linkSecrets ?? [],
    host: config.host,
    logger,
    ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
  });
}

const closeConnection = (connection: Connection): Promise<void> => connection.close();
