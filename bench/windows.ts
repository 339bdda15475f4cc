/** Windows: how exactly they close, and many that are open at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { TASK_QUEUE } from '../src/model/protocol.ts';
import type { Bench } from './part.ts';
import { patiently, residentMb } from './processes.ts';
import { findRun, settledRun } from './runs.ts';
import { post, send } from './send.ts';
import { type RunningTidegate, startTidegate } from './stack.ts';
import { perSecond, quantile, sum } from './statistics.ts';
import { number, printTable, type Row } from './table.ts';

const DEBOUNCES = 100;
const OPEN_WINDOWS = 2_500;
/** Few enough that Temporal's database keeps up: how late a timer is and not how long a queue. */
const BETWEEN_WINDOWS_MS = 200;

export async function benchWindows({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const tidegate = await startTidegate(stack);
  try {
    return [
      ...(await accuracy(stack.client, tidegate, scaled(DEBOUNCES, 5))),
      ...(await openWindows(tidegate, scaled(OPEN_WINDOWS, 20))),
    ];
  } finally {
    await tidegate.stop();
  }
}

async function accuracy(
  client: Client,
  { url }: RunningTidegate,
  count: number,
): Promise<readonly Row[]> {
  console.log(`${count} windows of three events each`);
  const edits: Promise<void>[] = [];
  for (let lead = 0; lead < count; lead += 1) {
    edits.push(threeEdits(url, lead));
    await sleep(BETWEEN_WINDOWS_MS);
  }
  await Promise.all(edits);
  const late: number[] = [];
  for (let lead = 0; lead < count; lead += 1) {
    const settlements = await settledRun(url, `leadEdits:default:lead-${lead}`, 3);
    const windows = settlements.map(({ result }) => result as { count: number; lateMs: number });
    const counted = sum(windows.map((window) => window.count));
    if (counted !== 3) throw new Error(`lead-${lead} closed with ${counted} of 3 events`);
    late.push(...windows.map(({ lateMs }) => lateMs));
  }
  const early = late.filter((ms) => ms < 0).length;
  if (early > 0) throw new Error(`${early} of ${late.length} windows closed before they were due`);
  const plain = await plainTimers(client, count);
  return [0.5, 0.99].map((share) => ({
    name: `debounce closed after due, p${100 * share} ms`,
    value: quantile(late, share),
    against: "Temporal's timer in a workflow alone",
    base: quantile(plain, share),
  }));
}

async function threeEdits(url: string, lead: number): Promise<void> {
  for (let edit = 0; edit < 3; edit += 1) {
    await post(url, [
      { type: 'lead.edited', id: `lead-${lead}-${edit}`, data: { leadId: `lead-${lead}`, edit } },
    ]);
    await sleep(100);
  }
}

/** As many plain timers as windows, at the same pace. */
async function plainTimers(client: Client, count: number): Promise<readonly number[]> {
  const results: Promise<number>[] = [];
  for (let timer = 0; timer < count; timer += 1) {
    const options = { workflowId: `plain-timer-${timer}`, taskQueue: TASK_QUEUE, args: [] };
    results.push(client.workflow.execute('plainTimer', options));
    await sleep(BETWEEN_WINDOWS_MS);
  }
  return Promise.all(results);
}

async function openWindows(
  { url, workers, ingresses }: RunningTidegate,
  count: number,
): Promise<readonly Row[]> {
  console.log(`${count} open windows\n`);
  const memory = () => ({
    worker: residentMb(workers[0].pid()),
    ingress: residentMb(ingresses[0].pid()),
  });
  const before = memory();
  const startedAt = Date.now();
  await send(url, { count }, (nth) => ({
    type: 'order.placed',
    id: `order-${nth}`,
    data: { orderId: `order-${nth}` },
  }));
  await untilWaiting(url, 0);
  await untilWaiting(url, count - 1);
  const took = Date.now() - startedAt;
  const after = memory();
  printTable(
    ['open at once', 'opened/s', 'worker KB for each'],
    [
      [
        number(count),
        number(perSecond(count, took)),
        number(((after.worker - before.worker) * 1_024) / count),
      ],
    ],
  );
  return (['worker', 'ingress'] as const).map((process) => ({
    name: `${process} MB with ${number(count)} open windows`,
    value: after[process],
    against: 'with none',
    base: before[process],
  }));
}

/** Until the run's workflow waits for its window, which it says itself. */
async function untilWaiting(url: string, nth: number): Promise<void> {
  const run = `openOrder:default:order-${nth}`;
  await patiently(
    `${run} to wait`,
    async () => {
      const row = await findRun<{ readonly live?: { readonly stage: string } }>(url, run);
      return row?.live?.stage === 'waiting' ? true : undefined;
    },
    { withinMs: 600_000 },
  );
}
