/** A Temporal dev server, a journal and a dispatcher, around which workers of several builds come and go. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import { operationError } from '../../src/connectors/operation-error.ts';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import type { BoundConnector } from '../../src/model/connector.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { bundleFlows, type RunningWorker, startWorker } from '../../src/worker.ts';
import { silent, startTemporal } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

export interface Build {
  /** A file of ./fixtures. */
  readonly flows: 'v1' | 'v2' | 'unguarded';
  /** @default an unversioned worker */
  readonly buildId?: string;
}

export interface Deployment {
  readonly client: Client;
  readonly journal: Journal;
  /** What operations were called with which idempotency key, by which build. */
  readonly effects: readonly Effect[];
  /** Accepts an event for a flow, as the ingress would. */
  send(flow: string, key: string, n?: number): Promise<RunId>;
  /** The run once it waits in its query's words. */
  waits(run: RunId, waitingFor: RegExp): Promise<void>;
  decide(run: RunId, decision: { action: string; input?: unknown }): Promise<void>;
  /** The results of its windows once all its deliveries are settled. */
  results(run: RunId, deliveries?: number, withinMs?: number): Promise<readonly unknown[]>;
  row(run: RunId): Promise<RunRow | undefined>;
  /** Which execution the run is in. */
  execution(run: RunId): Promise<string>;
  start(build: Build): Promise<RunningWorker>;
  /** Makes a build current, or none of them, as an operator does. */
  makeCurrent(buildId: string | 'unversioned'): Promise<void>;
  /** Terminates what has not ended. */
  endRuns(): Promise<void>;
  /** Runs the Temporal CLI against this server, as an operator does. */
  cli(command: string): Promise<string>;
  stop(): Promise<void>;
}

export interface Effect {
  readonly operation: string;
  readonly key: string;
  readonly build: string;
}

export const DEPLOYMENT = 'tidegate';

export async function startDeployment(serverArgs: readonly string[] = []): Promise<Deployment> {
  const env = await startTemporal(serverArgs);
  const journal = await openJournal({});
  const client = new Client({ connection: env.connection });
  const dispatcher = createDispatcher({
    journal,
    logger: silent,
    holder: 'test',
    deliver: temporalDeliver(client, { summaryOf: () => undefined }),
  });
  dispatcher.start();
  const temporalCli = await findTemporalCli(process.env);
  const effects: Effect[] = [];
  const workers = new Set<RunningWorker>();
  const runs = new Set<RunId>();
  let sent = 0;

  const row = (run: RunId) => journal.findRun(run);
  const handle = (run: RunId) => client.workflow.getHandle(run);
  const cli = async (command: string): Promise<string> => {
    const words = command.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
    const args = [...words.slice(1), '--address', env.address];
    return (await promisify(execFile)(temporalCli, args)).stdout;
  };
  return {
    client,
    journal,
    effects,
    row,
    async send(flow, key, n = 0) {
      sent += 1;
      const run = makeRunId({ flow, tenant: 'default', key });
      runs.add(run);
      const event = testEvent({ id: `e${sent}`, data: { n } });
      const target = { flow, key, run };
      const [result] = await journal.append([{ event, status: 'accepted', deliveries: [target] }]);
      if (result?.status === 'accepted') {
        dispatcher.offer(result.deliveries.map((numbered) => ({ target: numbered, event })));
      }
      return run;
    },
    async waits(run, waitingFor) {
      await until(`${run} to wait: ${waitingFor}`, async () => {
        const view = await handle(run)
          .query<{ waitingFor?: string }>('run')
          .catch(() => undefined);
        return waitingFor.test(view?.waitingFor ?? '');
      });
    },
    async decide(run, decision) {
      await handle(run).executeUpdate('decide', {
        args: [{ reason: 'because', actor: 'tester', ...decision }],
      });
    },
    async results(run, deliveries = 1, withinMs = 15_000) {
      const settled = await until(
        `${run} to settle`,
        async () => {
          const found = await row(run);
          return found !== undefined && found.settledThrough >= deliveries && found;
        },
        withinMs,
      );
      return settled.settlements.map(({ result }) => result);
    },
    execution: async (run) => (await handle(run).describe()).runId,
    async start({ flows, buildId }) {
      const path = fileURLToPath(new URL(`./fixtures/${flows}.ts`, import.meta.url));
      const worker = await startWorker({
        temporal: { namespace: 'default', connection: { address: env.address } },
        journal,
        connectors: [probe(buildId ?? flows, effects)],
        catalogue: { contracts: {} } as never,
        flows: flowRegistry(await import(path)),
        onAppended: dispatcher.offer,
        bundle: await bundleFlows(path, silent, {}, buildId !== undefined),
        ...(buildId !== undefined && { version: { deploymentName: DEPLOYMENT, buildId } }),
        logger: silent,
      });
      workers.add(worker);
      return worker;
    },
    async makeCurrent(buildId) {
      const which = buildId === 'unversioned' ? '--unversioned' : `--build-id ${buildId}`;
      // Temporal hears of a build when its first worker polls.
      await until(`${buildId} to be current`, () =>
        cli(
          `temporal worker deployment set-current-version --deployment-name ${DEPLOYMENT} ${which} --yes`,
        ).catch(() => undefined),
      );
    },
    async endRuns() {
      for (const run of runs) {
        await handle(run)
          .terminate()
          .catch(() => {});
      }
      runs.clear();
    },
    cli,
    async stop() {
      await dispatcher.stop();
      await Promise.all([...workers].map((worker) => worker.stop()));
      await journal.close();
      await env.teardown();
    },
  };
}

/** What each build has of the connector `probe`. */
function probe(build: string, effects: Effect[]): BoundConnector {
  const names = ['act', 'tell', 'refuse'];
  return {
    name: 'probe',
    mode: 'fake',
    operations: names,
    retry: {},
    async run(operation, _input, { idempotencyKey }) {
      if (operation === 'refuse') throw operationError('fatal', 'refused');
      effects.push({ operation, key: idempotencyKey, build });
      return build;
    },
    operation: (name) =>
      names.includes(name) ? { effect: 'write', timeout: '5s', run: async () => null } : undefined,
  };
}
