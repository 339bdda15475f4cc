/**
 * Windows under load: one hot key, how exactly windows close, and many that are open at once. It checks
 * what it counts: a benchmark that lost an event ends with an error.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { TASK_QUEUE } from '../src/model/protocol.ts';
import { type RunningTidegate, type Stack, startTidegate } from './stack.ts';
import { printTable } from './table.ts';

const HOT_EVENTS = Number(process.env.BENCH_HOT_EVENTS ?? 100_000);
const DEBOUNCES = Number(process.env.BENCH_DEBOUNCES ?? 500);
const OPEN_WINDOWS = Number(process.env.BENCH_OPEN_WINDOWS ?? 10_000);
/** Few enough that Temporal's database keeps up: how late a timer is and not how long a queue. */
const BETWEEN_WINDOWS_MS = 200;
const BATCH = 200;
const SENDERS = 8;
const PATIENCE_MS = 900_000;

export async function benchWindows(stack: Stack): Promise<void> {
  const tidegate = await startTidegate(stack);
  try {
    const rows = [
      ...(await hotKey(stack.client, tidegate)),
      ...(await accuracy(stack.client, tidegate)),
      ...(await openWindows(tidegate)),
    ];
    console.log('');
    printTable(['', 'what', 'measured'], rows);
  } finally {
    await tidegate.stop();
  }
}

/** As many plain timers as windows, at the same pace. */
async function plainTimers(client: Client): Promise<readonly number[]> {
  const results: Promise<number>[] = [];
  for (let timer = 0; timer < DEBOUNCES; timer += 1) {
    const options = { workflowId: `plain-timer-${timer}`, taskQueue: TASK_QUEUE, args: [] };
    results.push(client.workflow.execute('plainTimer', options));
    await sleep(BETWEEN_WINDOWS_MS);
  }
  return Promise.all(results);
}

type Rows = readonly (readonly [string, string, string])[];

async function hotKey(client: Client, { url, workerPid }: RunningTidegate): Promise<Rows> {
  const teams = ['billing', 'shipping', 'accounts', 'api'] as const;
  const event = (number: number) => ({
    type: 'ticket.created',
    id: `ticket-${number}`,
    subject: `ticket-${number % 5_000}`,
    actor: `agent-${number % 300}`,
    data: {
      queue: 'hot',
      team: teams[number % teams.length],
      severity: number % 1_000 === 0 ? 'critical' : 'normal',
      number,
    },
  });
  console.log(`${HOT_EVENTS} events into one key`);
  const run = 'ticketVolume:default:hot';
  const memory = watchMemory(workerPid);
  const startedAt = Date.now();
  await send(url, HOT_EVENTS, event);
  const sentAt = Date.now();
  const settlements = await settled(url, run, HOT_EVENTS);
  const took = Date.now() - startedAt;
  const { rssMb } = memory.stop();
  const executions = await executionsOf(client, run);
  const counts = settlements.map(({ result }) => result as Record<string, number>);
  const sum = (field: string) => counts.reduce((total, each) => total + (each[field] ?? 0), 0);
  for (const field of ['count', 'grouped']) {
    if (sum(field) !== HOT_EVENTS) throw new Error(`${field}: ${sum(field)} of ${HOT_EVENTS}`);
  }
  if (sum('criticals') !== HOT_EVENTS / 1_000) throw new Error(`criticals: ${sum('criticals')}`);

  const history = executions.map(({ events }) => events);
  const total = history.reduce((all, events) => all + events, 0);
  const third = Math.ceil(rssMb.length / 3);
  return [
    ['hot key', 'events counted, of those sent', `${sum('count')} of ${HOT_EVENTS}`],
    ['', 'windows', String(settlements.length)],
    ['', 'acknowledged, events/s', perSecond(HOT_EVENTS, sentAt - startedAt)],
    // The last 5 s are the quiet time that closes the window.
    ['', 'through the window, events/s', perSecond(HOT_EVENTS, took - 5_000)],
    ['', 'executions (continued as new)', String(executions.length)],
    ['', 'history events, longest execution', String(Math.max(...history))],
    ['', 'history events per 1,000 events', ((1_000 * total) / HOT_EVENTS).toFixed(1)],
    [
      '',
      'largest history, KB',
      (Math.max(...executions.map(({ bytes }) => bytes)) / 1_024).toFixed(0),
    ],
    [
      '',
      'worker MB: median of first, last third',
      `${median(rssMb.slice(0, third))}, ${median(rssMb.slice(-third))}`,
    ],
    ['', 'worker MB, most', String(Math.max(...rssMb))],
  ];
}

async function accuracy(client: Client, { url }: RunningTidegate): Promise<Rows> {
  console.log(`${DEBOUNCES} windows of three events each`);
  for (let lead = 0; lead < DEBOUNCES; lead += 1) {
    void threeEdits(url, lead);
    await sleep(BETWEEN_WINDOWS_MS);
  }
  const late: number[] = [];
  for (let lead = 0; lead < DEBOUNCES; lead += 1) {
    const settlements = await settled(url, `leadEdits:default:lead-${lead}`, 3);
    const windows = settlements.map(({ result }) => result as { count: number; lateMs: number });
    const count = windows.reduce((sum, window) => sum + window.count, 0);
    if (count !== 3) throw new Error(`lead-${lead} closed with ${count} of 3 events`);
    late.push(...windows.map(({ lateMs }) => lateMs));
  }
  const plain = await plainTimers(client);
  return [
    ['debounce', 'keys with three events in 0.3 s, quiet 1 s', String(DEBOUNCES)],
    ['', 'windows', String(late.length)],
    ['', 'closed after due, p50 ms', String(quantile(late, 0.5))],
    ['', 'closed after due, p99 ms', String(quantile(late, 0.99))],
    ['', "Temporal's timer in a workflow alone, p50 ms", String(quantile(plain, 0.5))],
    ['', "Temporal's timer in a workflow alone, p99 ms", String(quantile(plain, 0.99))],
    ['', 'closed before due', String(late.filter((ms) => ms < 0).length)],
  ];
}

async function threeEdits(url: string, lead: number): Promise<void> {
  for (let edit = 0; edit < 3; edit += 1) {
    await post(url, [
      { type: 'lead.edited', id: `lead-${lead}-${edit}`, data: { leadId: `lead-${lead}`, edit } },
    ]);
    await sleep(100);
  }
}

async function openWindows({ url, workerPid, ingressPid }: RunningTidegate): Promise<Rows> {
  console.log(`${OPEN_WINDOWS} open windows`);
  const before = { worker: rssMbOf(workerPid), ingress: rssMbOf(ingressPid) };
  const startedAt = Date.now();
  await send(url, OPEN_WINDOWS, (number) => ({
    type: 'order.placed',
    id: `order-${number}`,
    data: { orderId: `order-${number}` },
  }));
  const first = await untilWaiting(url, 0);
  const last = await untilWaiting(url, OPEN_WINDOWS - 1);
  const took = Date.now() - startedAt;
  const memory = { worker: rssMbOf(workerPid), ingress: rssMbOf(ingressPid) };
  const perWindow = (was: number, is: number) =>
    `${(((is - was) * 1_024) / OPEN_WINDOWS).toFixed(1)}`;
  return [
    ['open windows', 'open at once', String(OPEN_WINDOWS)],
    ['', 'of the first and the last, the stage', `${first}, ${last}`],
    ['', 'opened per second', perSecond(OPEN_WINDOWS, took)],
    ['', 'worker MB before, with all open', `${before.worker}, ${memory.worker}`],
    ['', 'worker KB per open window', perWindow(before.worker, memory.worker)],
    ['', 'ingress MB before, with all open', `${before.ingress}, ${memory.ingress}`],
  ];
}

/** Until the run's workflow waits for its window, which it says itself. */
async function untilWaiting(url: string, number: number): Promise<string> {
  const run = `openOrder:default:order-${number}`;
  return await patiently(`${run} to wait`, async () => {
    const row = await get<{ readonly live?: { readonly stage: string } }>(url, run);
    return row?.live?.stage === 'waiting' ? row.live.stage : undefined;
  });
}

interface Settlement {
  readonly result?: unknown;
}

/** The settlements of a run once this many of its events have an outcome. */
async function settled(url: string, run: string, events: number): Promise<readonly Settlement[]> {
  return await patiently(`${events} settled events of ${run}`, async () => {
    const row = await get<{ settledThrough: number; settlements: readonly Settlement[] }>(url, run);
    return row !== undefined && row.settledThrough >= events ? row.settlements : undefined;
  });
}

async function patiently<Result>(
  what: string,
  look: () => Promise<Result | undefined>,
): Promise<Result> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(250);
  }
}

async function get<Row>(url: string, run: string): Promise<Row | undefined> {
  const response = await fetch(`${url}/api/v1/runs/${encodeURIComponent(run)}`);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`GET ${run}: ${response.status}`);
  return (await response.json()) as Row;
}

type Sent = Readonly<Record<string, unknown>>;

/** Sends events as batches, several at a time and in order of their numbers within each sender. */
async function send(url: string, count: number, event: (number: number) => Sent): Promise<void> {
  const batches = Math.ceil(count / BATCH);
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < batches) {
      const from = next * BATCH;
      next += 1;
      const length = Math.min(BATCH, count - from);
      await post(
        url,
        Array.from({ length }, (_, index) => event(from + index)),
      );
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
}

async function post(url: string, events: readonly Sent[]): Promise<void> {
  const body = JSON.stringify(
    events.map((event) => ({ specversion: '1.0', source: 'bench', ...event })),
  );
  const response = await fetch(`${url}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body,
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  const { results } = (await response.json()) as { results: readonly { status: string }[] };
  const other = results.find(({ status }) => status !== 'accepted');
  if (other !== undefined) throw new Error(`an event was ${other.status}`);
}

async function executionsOf(client: Client, run: string) {
  const executions: { readonly events: number; readonly bytes: number }[] = [];
  for await (const info of client.workflow.list({ query: `WorkflowId = '${run}'` })) {
    executions.push({ events: info.historyLength, bytes: info.historySize ?? 0 });
  }
  return executions;
}

/** The resident memory of a process in MB, from Linux's `/proc`. */
function rssMbOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(match?.[1] ?? Number.NaN) / 1_024);
}

function watchMemory(pid: number) {
  const rssMb: number[] = [rssMbOf(pid)];
  const timer = setInterval(() => rssMb.push(rssMbOf(pid)), 250);
  return {
    stop() {
      clearInterval(timer);
      return { rssMb };
    },
  };
}

const perSecond = (count: number, ms: number): string => ((1_000 * count) / ms).toFixed(0);

const median = (values: readonly number[]): number => quantile(values, 0.5);

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
