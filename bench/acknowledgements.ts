/**
 * Acknowledgements and history cost, beside a handler that one writes by hand, in one run against one
 * Temporal server. Ratios are what carries over to another machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { type LoadResult, load } from './load.ts';
import { type Stack, startNaive, startTidegate } from './stack.ts';
import { printTable } from './table.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 64);

interface Target {
  readonly name: string;
  /** Starts server and worker; returns their base URL and how to end them. */
  readonly start: () => Promise<{ readonly url: string; readonly stop: () => Promise<void> }>;
  readonly hotWorkflowId: string;
}
interface Row {
  readonly target: string;
  readonly keys: 'one hot key' | 'distinct keys';
  readonly result: LoadResult;
  readonly historyPer1000?: number;
}

const NAIVE = 'naive';
const naive = (address: string): Target => ({
  name: NAIVE,
  hotWorkflowId: 'naive:hot',
  start: () => startNaive(address),
});

const tidegate = (stack: Stack): Target => ({
  name: 'tidegate',
  hotWorkflowId: 'dealDigest:default:hot',
  start: () => startTidegate(stack),
});

/** History events of every execution of a workflow id, once the last has ended. */
async function historyEvents(client: Client, workflowId: string): Promise<number> {
  const end = Date.now() + 120_000;
  for (;;) {
    let events = 0;
    let isRunning = false;
    for await (const info of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
      events += info.historyLength;
      isRunning ||= info.status.name === 'RUNNING';
    }
    if (!isRunning && events > 0) return events;
    if (Date.now() > end) throw new Error(`${workflowId} still runs`);
    await sleep(1_000);
  }
}

async function measure(client: Client, target: Target): Promise<readonly Row[]> {
  const { url, stop: stopTarget } = await target.start();
  const at = { url, connections: CONNECTIONS };
  console.log(`${target.name}: warming up`);
  await load({ ...at, seconds: 2, key: () => 'warm', prefix: 'warm' });
  await sleep(4_000);
  console.log(`${target.name}: one hot key`);
  const hot = await load({ ...at, seconds: SECONDS, key: () => 'hot', prefix: 'hot' });
  console.log(`${target.name}: waiting for the window to close`);
  const history = await historyEvents(client, target.hotWorkflowId);
  console.log(`${target.name}: distinct keys`);
  const distinct = await load({
    ...at,
    seconds: SECONDS,
    key: (n) => `deal-${n}`,
    prefix: 'distinct',
  });
  await stopTarget();
  return [
    {
      target: target.name,
      keys: 'one hot key',
      result: hot,
      historyPer1000: (1_000 * history) / hot.accepted,
    },
    { target: target.name, keys: 'distinct keys', result: distinct },
  ];
}

function report(rows: readonly Row[]): void {
  const naiveOf = (keys: Row['keys']) =>
    rows.find((row) => row.target === NAIVE && row.keys === keys);
  printTable(
    ['', 'keys', 'ack/s', '× naive', 'p50 ms', 'p99 ms', 'refused', 'history events per 1,000'],
    rows.map(({ target, keys, result, historyPer1000 }) => [
      target,
      keys,
      result.acknowledgementsPerSecond.toFixed(0),
      (
        result.acknowledgementsPerSecond /
        (naiveOf(keys)?.result.acknowledgementsPerSecond ?? Number.NaN)
      ).toFixed(1),
      result.p50Ms.toFixed(0),
      result.p99Ms.toFixed(0),
      String(result.failed),
      historyPer1000?.toFixed(1) ?? '',
    ]),
  );
}

/** Prints one table of both. */
export async function benchAcknowledgements(stack: Stack): Promise<void> {
  console.log(`${CONNECTIONS} connections, ${SECONDS} s a row\n`);
  const rows = [
    ...(await measure(stack.client, naive(stack.address))),
    ...(await measure(stack.client, tidegate(stack))),
  ];
  console.log('');
  report(rows);
}
