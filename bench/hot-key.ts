/**
 * One hot key: many events into one window, what that costs of Temporal, and whether all are counted. Beside it the
 * debounce that one writes by hand, which signals its workflow once an event.
 */
import type { Client } from '@temporalio/client';
import { type Execution, executionsOf, signalsOf, timeOf } from './histories.ts';
import { type LoadResult, load } from './load.ts';
import type { Bench } from './part.ts';
import { patiently, residentMb } from './processes.ts';
import { settledRun } from './runs.ts';
import { send } from './send.ts';
import { type RunningTidegate, type Stack, startNaive, startTidegate } from './stack.ts';
import { median, perSecond, sum } from './statistics.ts';
import { atMost, number, printTable, type Row } from './table.ts';
import { deliveryCalls } from './temporal-calls.ts';

const EVENTS = 100_000;
/** One request an event, as the hand-written handler takes them. */
const SINGLE = { seconds: 5, connections: 64 };
/** Of the flow `ticketVolume`; of `dealDigest` and the hand-written one. */
const GAP_MS = 5_000;
const QUIET_MS = 2_000;
const HISTORY_PER_1000_MAX = 5;
const CALLS_PER_1000_MAX = 2;
/** Temporal's guidance. */
const SIGNALS_PER_SECOND_MAX = 5;

interface Hot {
  readonly events: number;
  readonly tookMs: number;
  readonly executions: readonly Execution[];
  /** Of Temporal, to hand the events over. */
  readonly calls: number;
}

export async function benchHotKey({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const seconds = scaled(SINGLE.seconds);
  const naive = await startNaive(stack);
  console.log(`by hand: ${seconds} s, one request an event`);
  const byHand = await singles(stack, naive.url, 'naive:hot', seconds);
  await naive.stop();

  const tidegate = await startTidegate(stack);
  try {
    console.log(`tidegate: ${seconds} s, one request an event`);
    const ours = await singles(stack, tidegate.url, 'dealDigest:default:hot', seconds);
    await countedAll(tidegate.url, 'dealDigest:default:hot', ours.load);
    const events = scaled(EVENTS, 1_000);
    console.log(`tidegate: ${events} events in batches\n`);
    const { hot, rssMb } = await window(stack, tidegate, events);
    printExecutions(hot);
    return rows({ byHand, ours, hot, rssMb });
  } finally {
    await tidegate.stop();
  }
}

type Singles = Omit<Hot, 'events'> & { readonly load: LoadResult };

async function singles(
  { client, temporalMetricsUrl }: Stack,
  url: string,
  workflowId: string,
  seconds: number,
): Promise<Singles> {
  const { connections } = SINGLE;
  const callsBefore = await deliveryCalls(temporalMetricsUrl);
  const startedAt = Date.now();
  const loaded = await load({ url, connections, seconds, key: () => 'hot', prefix: 'hot' });
  const executions = await closedExecutions(client, workflowId);
  return {
    load: loaded,
    executions,
    tookMs: lastEventAt(executions) - startedAt - QUIET_MS,
    calls: await callsSince(callsBefore, temporalMetricsUrl, executions),
  };
}

async function window(
  { client, temporalMetricsUrl }: Stack,
  { url, workers }: RunningTidegate,
  events: number,
): Promise<{ readonly hot: Hot; readonly rssMb: readonly number[] }> {
  const callsBefore = await deliveryCalls(temporalMetricsUrl);
  const teams = ['billing', 'shipping', 'accounts', 'api'] as const;
  const run = 'ticketVolume:default:hot';
  const rssMb: number[] = [];
  const timer = setInterval(() => rssMb.push(residentMb(workers[0].pid())), 250);
  const startedAt = Date.now();
  await send(url, { count: events }, (nth) => ({
    type: 'ticket.created',
    id: `ticket-${nth}`,
    subject: `ticket-${nth % 5_000}`,
    actor: `agent-${nth % 300}`,
    data: {
      queue: 'hot',
      team: teams[nth % teams.length],
      severity: nth % 1_000 === 0 ? 'critical' : 'normal',
      number: nth,
    },
  }));
  const settlements = await settledRun(url, run, events);
  clearInterval(timer);
  const counts = settlements.map(({ result }) => result as Record<string, number>);
  const expected = { count: events, grouped: events, criticals: Math.ceil(events / 1_000) };
  for (const [field, wanted] of Object.entries(expected)) {
    const counted = sum(counts.map((each) => each[field] ?? 0));
    if (counted !== wanted) throw new Error(`${field}: ${counted} of ${wanted}`);
  }
  const executions = await closedExecutions(client, run);
  const tookMs = lastEventAt(executions) - startedAt - GAP_MS;
  const calls = await callsSince(callsBefore, temporalMetricsUrl, executions);
  return { hot: { events, tookMs, executions, calls }, rssMb };
}

/** @throws when Temporal counted fewer calls than there were signals: then something else was counted */
async function callsSince(
  before: number,
  metricsUrl: string,
  executions: readonly Execution[],
): Promise<number> {
  const calls = (await deliveryCalls(metricsUrl)) - before;
  const signals = sum(executions.map(signalsOf));
  if (calls < signals)
    throw new Error(`${calls} calls of Temporal are too few for ${signals} signals`);
  return calls;
}

/** @throws unless every event that was accepted is in a window, and none twice */
async function countedAll(url: string, run: string, { accepted, sent }: LoadResult): Promise<void> {
  const settlements = await settledRun(url, run, accepted);
  const counted = sum(settlements.map(({ result }) => Number(result)));
  if (counted < accepted || counted > sent) {
    throw new Error(`${run} counted ${counted}; ${accepted} of ${sent} were accepted`);
  }
}

/** All executions of a workflow, once the last has ended. */
const closedExecutions = (client: Client, workflowId: string): Promise<readonly Execution[]> =>
  patiently(
    `${workflowId} to end`,
    async () => {
      const executions = await executionsOf(client, `WorkflowId = '${workflowId}'`);
      const isOver = executions.length > 0 && executions.every(({ isRunning }) => !isRunning);
      return isOver ? executions : undefined;
    },
    { everyMs: 1_000 },
  );

const lastEventAt = (executions: readonly Execution[]): number =>
  Math.max(...executions.map(({ events }) => timeOf(events.at(-1) ?? {})));

function printExecutions({ executions, calls }: Hot): void {
  printTable(
    ['the run', 'executions', 'most history events', 'most history KB', 'signals', 'calls'],
    [
      [
        'ticketVolume',
        String(executions.length),
        String(Math.max(...executions.map(({ events }) => events.length))),
        number(Math.max(...executions.map(({ bytes }) => bytes)) / 1_024),
        String(sum(executions.map(signalsOf))),
        String(calls),
      ],
    ],
  );
}

function rows(measured: {
  readonly byHand: Singles;
  readonly ours: Singles;
  readonly hot: Hot;
  readonly rssMb: readonly number[];
}): readonly Row[] {
  const { byHand, ours, hot, rssMb } = measured;
  // A signal each, also of those whose answer was not awaited when the load ended.
  const events = sum(byHand.executions.map(signalsOf));
  const row = (name: string, of: (of: Hot) => number, goal?: Row['goal']): Row => ({
    name,
    value: of(hot),
    against: 'by hand',
    base: of({ ...byHand, events }),
    ...(goal && { goal }),
  });
  const third = Math.ceil(rssMb.length / 3);
  return [
    {
      name: 'one request an event, acknowledged/s',
      value: ours.load.acknowledgementsPerSecond,
      against: 'by hand',
      base: byHand.load.acknowledgementsPerSecond,
    },
    row('through the window, events/s', (key) => perSecond(key.events, key.tookMs)),
    row(
      'history events per 1,000 events',
      historyPer1000,
      atMost(historyPer1000(hot), HISTORY_PER_1000_MAX),
    ),
    row(
      'Temporal calls per 1,000 events',
      callsPer1000,
      atMost(callsPer1000(hot), CALLS_PER_1000_MAX),
    ),
    row(
      'signals/s to the workflow',
      signalsPerSecond,
      atMost(signalsPerSecond(hot), SIGNALS_PER_SECOND_MAX),
    ),
    {
      name: 'worker MB, last third',
      value: median(rssMb.slice(-third)),
      against: 'first third',
      base: median(rssMb.slice(0, third)),
    },
  ];
}

const historyPer1000 = ({ executions, events }: Hot): number =>
  (1_000 * sum(executions.map((execution) => execution.events.length))) / events;

const callsPer1000 = ({ calls, events }: Hot): number => (1_000 * calls) / events;

const signalsPerSecond = ({ executions, tookMs }: Hot): number =>
  perSecond(sum(executions.map(signalsOf)), tookMs);
