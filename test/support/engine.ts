import { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { dataByReference, withDataByReference } from '../../src/dataref/index.ts';
import { type Deliver, temporalDeliver, temporalHasTakenIn } from '../../src/dispatch/deliver.ts';
import {
  createDispatcher,
  type Dispatcher,
  type DispatcherOptions,
} from '../../src/dispatch/dispatcher.ts';
import { type EmitContext, emitActivities } from '../../src/ingress/emit.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { type OperationCall, SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { ensureSearchAttributes } from '../../src/search-attributes.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection } from '../../src/temporal.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { bundleFlows } from '../../src/worker.ts';
import { until } from './wait.ts';

export const silent = createLogger({ level: 'silent' });

/** A Temporal dev server whose timers are exact to ten milliseconds. */
export async function startTemporal(
  extraArgs: readonly string[] = [],
): Promise<TestWorkflowEnvironment> {
  const env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: {
        type: 'existing-path',
        path: await findTemporalCli(process.env),
      },
      log: { level: 'error', format: 'pretty' },
      searchAttributes: Object.values(SEARCH_ATTRIBUTES).map((name) => ({ name, type: 'KEYWORD' })),
      extraArgs: [
        '--dynamic-config-value',
        'history.timerProcessorMaxTimeShift="10ms"',
        ...extraArgs,
      ],
    },
  });
  await ensureSearchAttributes(env.connection as never, 'default');
  return env;
}

export type Operations = Readonly<Record<string, (call: OperationCall) => Promise<Json>>>;

/** Journal, dispatcher, Temporal and a worker, real each, around the flows of a fixture. */
export interface TestEngine {
  readonly env: TestWorkflowEnvironment;
  readonly client: Client;
  readonly journal: Journal;
  /** Tells the dispatcher of what has just been committed. */
  readonly offer: Dispatcher['offer'];
  /** Accepts an event for a flow, as the ingress would. */
  send(flow: string, key: string, event: TidegateEvent): Promise<void>;
  run(flow: string, key: string): RunId;
  /** The run's row once all its deliveries are settled. */
  settled(run: RunId, deliveries: number): Promise<RunRow>;
  row(run: RunId): Promise<RunRow | undefined>;
  startWorker(): Promise<void>;
  stopWorker(): Promise<void>;
  stop(): Promise<void>;
}

export async function startEngine(options: {
  readonly flowsPath: string;
  readonly operations: Operations | ((journal: Journal) => Operations);
  /** What the flows can emit, for those that do. */
  readonly catalogue?: EmitContext['catalogue'];
  /** Makes the activity by which they emit, to make it fail. */
  readonly emitting?: typeof emitActivities;
  readonly serverArgs?: readonly string[];
  /** What becomes of later deliveries of a run when one is refused. @default they are held */
  readonly whenUndeliverable?: DispatcherOptions['whenUndeliverable'];
  /** Wraps the calls of the dispatcher, to make them fail. */
  readonly faulty?: (deliver: Deliver) => Deliver;
  /** Wraps the journal that large event data is read from, to make it fail. */
  readonly reading?: (journal: Journal) => Pick<Journal, 'dataOfEvents'>;
}): Promise<TestEngine> {
  const env = await startTemporal(options.serverArgs);
  const journal = await openJournal({});
  const bundle = await bundleFlows(options.flowsPath, silent);
  const { reading = (from: Journal) => from } = options;
  /** As of a process that has just begun. */
  const dataConverter = () => withDataByReference(undefined, dataByReference(reading(journal)));
  const client = new Client({ connection: env.connection, dataConverter: dataConverter() });
  // As the processes call Temporal: with deadlines, and quiet once it is closed. A test's own calls have more patience.
  const connection = lazyConnection({
    namespace: 'default',
    connection: { address: env.address },
  });
  const dispatching = new Client({ connection, dataConverter: dataConverter() });
  const faulty = options.faulty ?? ((deliver: Deliver) => deliver);
  const dispatcher: Dispatcher = createDispatcher({
    journal,
    logger: silent,
    holder: 'test',
    deliver: faulty(temporalDeliver(dispatching, { summaryOf: () => undefined })),
    hasTakenIn: temporalHasTakenIn(async () => dispatching),
    ...(options.whenUndeliverable && { whenUndeliverable: options.whenUndeliverable }),
  });
  dispatcher.start();

  const { catalogue, emitting = emitActivities } = options;
  const emits =
    catalogue === undefined
      ? {}
      : emitting({
          journal,
          catalogue,
          flows: flowRegistry(await import(options.flowsPath)),
          onAppended: dispatcher.offer,
          now: () => new Date(),
        });

  const { operations } = options;
  const operates = typeof operations === 'function' ? operations(journal) : operations;

  let worker: Worker | undefined;
  let running: Promise<void> = Promise.resolve();
  const engine: TestEngine = {
    env,
    client,
    journal,
    offer: dispatcher.offer,
    run: (flow, key) => makeRunId({ flow, tenant: 'default', key }),
    async send(flow, key, event) {
      const target = { flow, key, run: engine.run(flow, key) };
      const [result] = await journal.append([{ event, status: 'accepted', deliveries: [target] }]);
      if (result?.status !== 'accepted') return;
      dispatcher.offer(result.deliveries.map((numbered) => ({ target: numbered, event })));
    },
    row: (run) => journal.findRun(run),
    settled: (run, deliveries) =>
      until(`${deliveries} settled deliveries of ${run}`, async () => {
        const row = await journal.findRun(run);
        return row !== undefined && row.settledThrough >= deliveries && row;
      }),
    async startWorker() {
      worker = await Worker.create({
        connection: env.nativeConnection,
        taskQueue: 'tidegate',
        workflowBundle: bundle,
        dataConverter: dataConverter(),
        activities: { ...journal.activities, ...emits, ...operates },
        shutdownGraceTime: '1 second',
        shutdownForceTime: '3 seconds',
      });
      running = worker.run();
    },
    async stopWorker() {
      worker?.shutdown();
      await running;
    },
    async stop() {
      await dispatcher.stop();
      await engine.stopWorker();
      await journal.close();
      await connection.close();
      await env.teardown();
    },
  };
  await engine.startWorker();
  return engine;
}
