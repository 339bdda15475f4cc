/**
 * Records the histories that replay.test.ts replays; run by hand:
 *
 *   node --conditions=tidegate-source --import tsx test/replay/record.ts [scenario…]
 *
 * Without names it records the scenarios that have no files yet. A history that is there stays: it is
 * what a run that began before your change looks like. When one no longer replays, guard the change
 * with `patched()` from @temporalio/workflow; record anew only what never ran outside of a test.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { connectors } from '../../examples/acme/connectors';
import { events } from '../../examples/acme/events';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import type { ErrorClass } from '../../src/model/error.ts';
import type { Json } from '../../src/model/event.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { silent, startEngine } from '../support/engine.ts';
import { historyText } from './recorded-history.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { stageOf } from './stage.ts';

const directory = fileURLToPath(new URL('./histories', import.meta.url));

/** Temporal suggests continue-as-new after so few events, so that the histories stay small. */
const GROWN_EARLY = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=30'];

async function record(wanted: readonly Scenario[], serverArgs: readonly string[]): Promise<void> {
  if (wanted.length === 0) return;
  const failures = new Map(wanted.map(({ name, failures = [] }) => [name, [...failures]]));
  const failing = new Map(wanted.map(({ name, failing = {} }) => [name, { ...failing }]));
  const operate = async (call: OperationCall): Promise<Json> => {
    // Time for what follows to come while the body runs.
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { label = '' } = call.input as { readonly label?: string };
    const key = call.run.split(':').at(-1) ?? '';
    const type =
      call.operation === 'act'
        ? (take(failing.get(key), label) ?? failures.get(key)?.shift())
        : undefined;
    if (type === undefined) return label;
    throw ApplicationFailure.create({ message: 'refused', type, nonRetryable: true });
  };
  const engine = await startEngine({
    flowsPath: fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
    operations: (journal) => ({
      // Acme's connectors as `tidegate dev` runs them: their fakes.
      ...operationActivities(bindConnectors(connectors, { env: {}, journal, allowFakes: true }), {
        logger: silent,
        now: Date.now,
        random: Math.random,
      }),
      'probe.act': operate,
      'probe.other': operate,
    }),
    catalogue: events,
    serverArgs,
  });
  try {
    for (const scenario of wanted) {
      const run = engine.run(scenario.flow, scenario.name);
      await scenario.play(stageOf(engine, scenario));
      await engine.client.workflow
        .getHandle(run)
        .result()
        .catch(() => undefined);
      const executions = await executionsOf(engine.client, run);
      await removeRecorded(scenario.name);
      for (const [index, history] of executions.entries()) {
        const file = `${directory}/${scenario.name}-${index + 1}.json`;
        await writeFile(file, historyText(history));
        console.log(`${scenario.name}-${index + 1}: ${history.events?.length} events`);
      }
    }
  } finally {
    await engine.stop();
  }
}

/** How the next call of a label fails. */
function take(failing: Record<string, ErrorClass> = {}, label: string): ErrorClass | undefined {
  const type = failing[label];
  delete failing[label];
  return type;
}

/** The histories of a run's last execution and of those that continued as new to it, in order. */
async function executionsOf(client: Client, run: RunId): Promise<readonly History[]> {
  const chain: History[] = [];
  let { runId } = await client.workflow.getHandle(run).describe();
  for (;;) {
    const history = await client.workflow.getHandle(run, runId).fetchHistory();
    chain.unshift(history);
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    const earlier = started?.continuedExecutionRunId ?? '';
    if (earlier === '') return chain;
    runId = earlier;
  }
}

const recordedFiles = async (name: string): Promise<readonly string[]> =>
  (await readdir(directory)).filter((file) => file.replace(/-\d+\.json$/, '') === name);

async function removeRecorded(name: string): Promise<void> {
  for (const file of await recordedFiles(name)) await rm(`${directory}/${file}`);
}

await mkdir(directory, { recursive: true });
Runtime.install({ logger: new DefaultLogger('ERROR') });
const names = process.argv.slice(2);
const wanted: Scenario[] = [];
for (const scenario of scenarios) {
  const isWanted =
    names.length > 0
      ? names.includes(scenario.name)
      : (await recordedFiles(scenario.name)).length === 0;
  if (isWanted) wanted.push(scenario);
}
await record(
  wanted.filter(({ grows }) => grows !== true),
  [],
);
await record(
  wanted.filter(({ grows }) => grows === true),
  GROWN_EARLY,
);
