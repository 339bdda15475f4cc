/**
 * What an event costs at Temporal Cloud: the stories of examples/acme are told, and the histories that they leave are
 * counted by Temporal's definition of a billable action.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stories } from '../examples/demo/stories';
import { freePort } from '../test/support/free-port.ts';
import { execute } from '../test/support/postgres.ts';
import { type Actions, actionsOf, type Execution, executionsOf, totalOf } from './histories.ts';
import { sendOrder } from './orders.ts';
import type { Bench } from './part.ts';
import { node, patiently, start, stop, untilReady } from './processes.ts';
import { startReceiver } from './receiver.ts';
import { type Stack, startNaive } from './stack.ts';
import { groupedBy, sum } from './statistics.ts';
import { number, printTable, type Row } from './table.ts';

export async function benchCost({ stack }: Bench): Promise<readonly Row[]> {
  await checkCounting(stack);
  const databaseUrl = await stack.createDatabase();
  await tellStories(stack, databaseUrl);
  const runs = await costs(stack, databaseUrl);
  const byFlow = groupedBy(runs, ({ flow, outcome }) => `${flow}, ${outcome}`);
  const summaries = [...byFlow].map(([name, of]) => ({ name, ...summaryOf(of) }));
  print(summaries);
  return summaries.flatMap(({ name, isSuccess, events, actions, byHand }) =>
    isSuccess
      ? [
          {
            name: `${name.split(',')[0]}, actions an event`,
            value: totalOf(actions) / events,
            against: 'by hand',
            base: byHand / events,
          },
        ]
      : [],
  );
}

/** Of a workflow that is started and runs one activity the definition leaves no doubt: two. */
async function checkCounting(stack: Stack): Promise<void> {
  const receiver = await startReceiver();
  const naive = await startNaive(stack, receiver.url);
  try {
    await sendOrder(naive.url, 'counted');
    const execution = await patiently('a hand-written workflow to end', async () => {
      const [found] = await executionsOf(stack.client, "WorkflowId = 'order:counted'");
      return found?.isRunning === false ? found : undefined;
    });
    const counted = totalOf(actionsOf(execution));
    if (counted !== 2) throw new Error(`a start and an activity count as ${counted} actions`);
  } finally {
    await Promise.all([naive.stop(), receiver.stop()]);
  }
}

/** As `npm start` and `npm run demo -- <story>`, in one process on the servers of this benchmark. */
async function tellStories(stack: Stack, databaseUrl: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-cost-'));
  const port = String(await freePort());
  const dev = start(node('src/cli/main.ts', 'dev', 'examples/acme'), {
    PORT: port,
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: stack.address,
    TIDEGATE_DIR: directory,
    LOG_LEVEL: 'error',
  });
  try {
    await untilReady(`http://127.0.0.1:${port}/readyz`);
    for (const { name } of stories) {
      console.log(`story ${name}`);
      const story = start(node('examples/demo/main.ts', name), { PORT: port });
      const [code] = await once(story, 'exit');
      if (code !== 0) throw new Error(`the story ${name} did not keep its promise`);
    }
  } finally {
    await stop(dev);
    rmSync(directory, { recursive: true, force: true });
  }
}

interface RunCost {
  readonly flow: string;
  readonly outcome: string;
  readonly events: number;
  readonly windows: number;
  readonly actions: Actions;
  readonly historyEvents: number;
  readonly bytes: number;
}

async function costs(stack: Stack, databaseUrl: string): Promise<readonly RunCost[]> {
  const rows = (await execute(
    databaseUrl,
    `select runs.run, runs.flow, runs.accepted_through::int as events,
       count(*)::int as windows, max(settlements.outcome) as outcome
     from runs join settlements on settlements.run = runs.run
     where runs.settled_through = runs.accepted_through
     group by runs.run, runs.flow, runs.accepted_through
     order by min(settlements.seq)`,
  )) as unknown as readonly (Omit<RunCost, 'actions'> & { readonly run: string })[];
  const executions = await executionsOf(stack.client, "TaskQueue = 'tidegate'");
  const ofRun = groupedBy(executions, ({ workflowId }) => workflowId);
  return rows.map(({ run, ...row }) => {
    const own = ofRun.get(run);
    if (own === undefined) throw new Error(`Temporal has no execution of ${run}`);
    return {
      ...row,
      actions: added(own.map(actionsOf)),
      historyEvents: sum(own.map(({ events }: Execution) => events.length)),
      bytes: sum(own.map(({ bytes }) => bytes)),
    };
  });
}

/** Of runs of one flow with one outcome. */
function summaryOf(runs: readonly RunCost[]) {
  const actions = added(runs.map((run) => run.actions));
  const events = sum(runs.map((run) => run.events));
  return {
    isSuccess: runs[0]?.outcome === 'completed',
    runs: runs.length,
    events,
    actions,
    // Each event is a start or a signal, each operation an activity, each decision an update, each wait a timer.
    byHand:
      events +
      actions.activities +
      actions.updates +
      sum(runs.map((run) => (run.actions.timers > 0 ? run.windows : 0))),
    historyEvents: sum(runs.map((run) => run.historyEvents)),
    bytes: sum(runs.map((run) => run.bytes)),
  };
}

const KINDS = [
  'starts',
  'signals',
  'timers',
  'activities',
  'markers',
  'upserts',
  'updates',
] as const satisfies readonly (keyof Actions)[];

const added = (all: readonly Actions[]): Actions =>
  Object.fromEntries(KINDS.map((kind) => [kind, sum(all.map((each) => each[kind]))])) as Record<
    keyof Actions,
    number
  >;

function print(
  summaries: readonly (ReturnType<typeof summaryOf> & { readonly name: string })[],
): void {
  console.log('');
  printTable(
    ['flow', 'runs', 'events', 'actions', ...KINDS, 'by hand', 'history events', 'KB'],
    summaries.map((each) => [
      each.name,
      String(each.runs),
      String(each.events),
      String(totalOf(each.actions)),
      ...KINDS.map((kind) => String(each.actions[kind])),
      String(each.byHand),
      String(each.historyEvents),
      number(each.bytes / 1_024),
    ]),
  );
}
