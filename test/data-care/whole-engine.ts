/** Ingress, journal, worker and a Temporal dev server, real each, with every log line kept. */
import { fileURLToPath } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { type IngressOptions, startIngress } from '../../src/ingress/main.ts';
import type { BoundSource } from '../../src/ingress/source.ts';
import type { Journal } from '../../src/journal/journal.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { createLogger } from '../../src/telemetry.ts';
import type { TemporalTarget } from '../../src/temporal.ts';
import { bundleFlows, startWorker } from '../../src/worker.ts';
import { until } from '../support/wait.ts';
import { desk, mail } from './fixtures/connectors.ts';
import { events } from './fixtures/events.ts';
import * as flowModule from './fixtures/flows.ts';

export interface WholeEngine {
  readonly url: string;
  /** Every line that the processes have logged. */
  readonly logged: readonly string[];
  /** An answer of the operator API, as text. */
  read(path: string): Promise<string>;
  send(type: string, id: string, data: object): Promise<Response>;
  run(name: string): Promise<RunRow>;
  parked(name: string, step: RegExp): Promise<RunRow>;
  settled(name: string): Promise<RunRow>;
  decide(name: string, decision: object, actor?: string): Promise<number>;
  stop(): Promise<void>;
}

export async function startWholeEngine(options: {
  readonly env: TestWorkflowEnvironment;
  readonly journal: Journal;
  readonly temporal?: Partial<TemporalTarget>;
  readonly sources?: readonly BoundSource[];
  /** More of the ingress's options. */
  readonly ingress?: Partial<IngressOptions>;
}): Promise<WholeEngine> {
  const { env, journal, sources = [] } = options;
  const logged: string[] = [];
  const logger = createLogger({
    level: 'trace',
    destination: { write: (line) => logged.push(line) },
  });
  const flows = flowRegistry(flowModule);
  const temporal: TemporalTarget = {
    namespace: 'default',
    connection: { address: env.address },
    ...options.temporal,
  };
  const connectors = bindConnectors([desk, mail], {
    env: { TIDEGATE_DESK_TOKEN: 'a-token' },
    journal,
    allowFakes: true,
  });
  const path = fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url));
  const worker = await startWorker({
    temporal,
    journal,
    connectors,
    catalogue: events,
    flows,
    bundle: await bundleFlows(path, logger, temporal.dataConverter),
    logger,
  });
  const ingress = await startIngress({
    config: { host: '127.0.0.1', port: 0 },
    journal,
    temporal,
    catalogue: events,
    flows,
    sources,
    connectors,
    logger,
    ...options.ingress,
  });
  const runOf = (name: string) => `/api/v1/runs/${encodeURIComponent(name)}`;
  const read = async (at: string): Promise<string> => {
    const response = await fetch(`${ingress.url}${at}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${at} answered ${response.status} ${text}`);
    return text;
  };
  const engine: WholeEngine = {
    url: ingress.url,
    logged,
    read,
    send: (type, id, data) =>
      fetch(`${ingress.url}/events/${type}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': id },
        body: JSON.stringify(data),
      }),
    run: async (name) => JSON.parse(await read(runOf(name))) as RunRow,
    parked: (name, step) =>
      until(`${name} parked at ${step.source}`, async () => {
        const row = await engine.run(name).catch(() => undefined);
        const isOpen = row?.status === 'parked' && row.park?.decidedAt === undefined;
        return isOpen && step.test(row.park?.step ?? '') && row;
      }),
    settled: (name) =>
      until(`${name} settled`, async () => {
        const row = await engine.run(name).catch(() => undefined);
        return row?.status === 'settled' && row;
      }),
    decide: async (name, decision, actor = 'ana') => {
      const response = await fetch(`${ingress.url}${runOf(name)}/decisions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-actor': actor },
        body: JSON.stringify(decision),
      });
      return response.status;
    },
    async stop() {
      await ingress.stop();
      await worker.stop();
    },
  };
  return engine;
}
