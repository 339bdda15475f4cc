/**
 * Whether anything gets slower as the journal grows: acknowledgements, flows and what operators and the dispatcher ask,
 * at 1, 10 and 100 times as many events that are settled.
 */
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import type { Journal } from '../src/journal/journal.ts';
import { LANES } from '../src/journal/journal.ts';
import { openJournal } from '../src/journal/open.ts';
import { execute } from '../test/support/postgres.ts';
import { fillJournal } from './fill-journal.ts';
import { allCompleted, keptOnce } from './journal.ts';
import { load } from './load.ts';
import { sendOrder, sendOrders } from './orders.ts';
import type { Bench } from './part.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type RunningTidegate, startTidegate } from './stack.ts';
import { median, perSecond } from './statistics.ts';
import { atLeast, atMost, number, printTable, type Row } from './table.ts';

const SIZES = [20_000, 200_000, 2_000_000];
/** Few keys: what is measured is the journal, and not how many runs Temporal opens. */
const INGRESS = { seconds: 5, connections: 64, keys: 50 };
const CALM_ORDERS = 50;
const BURST_ORDERS = 300;
const QUESTIONS_TIMES = 30;
/** Beyond noise: what grows with the journal grows a hundred times. */
const SLOWER_MAX = 2;

/** By name; of what ends in `/s` more is better, of what ends in `ms` less. */
type Measured = ReadonlyMap<string, number>;

export async function benchGrowth({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const sizes = SIZES.map((size) => scaled(size, 100));
  const receiver = await startReceiver();
  const tidegate = await startTidegate(stack, { receiverUrl: receiver.url });
  const pool = new pg.Pool({ connectionString: tidegate.databaseUrl });
  const journal = await openJournal({ databaseUrl: tidegate.databaseUrl });
  const columns: Measured[] = [];
  try {
    await warmUp(tidegate, receiver);
    let filled = 0;
    for (const [index, size] of sizes.entries()) {
      const startedAt = performance.now();
      await fillJournal(pool, size - filled);
      filled = size;
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
      console.log(`${number(size)} events are in the journal, filled in ${seconds} s`);
      columns.push(
        new Map([
          ...(await acknowledgements(tidegate, `growth-${index}`, scaled(INGRESS.seconds))),
          ...(await flows(tidegate.url, receiver, String(index), {
            calm: scaled(CALM_ORDERS, 3),
            burst: scaled(BURST_ORDERS, 10),
          })),
          ...(await questions(tidegate, journal, scaled(QUESTIONS_TIMES, 3))),
        ]),
      );
    }
    return report(sizes, columns);
  } finally {
    await journal.close();
    await pool.end();
    await Promise.all([tidegate.stop(), receiver.stop()]);
  }
}

async function warmUp({ url }: RunningTidegate, receiver: Receiver): Promise<void> {
  const orders = ordersOf('warm-order', 50);
  await load({ ...atIngress(url), seconds: 2, prefix: 'warm' });
  await sendOrders(url, orders, 8);
  await receiver.eachOnce(orders);
}

const atIngress = (url: string) => ({
  url,
  signed: true,
  connections: INGRESS.connections,
  key: (nth: number) => `deal-${nth % INGRESS.keys}`,
});

const ordersOf = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, nth) => `${prefix}-${nth}`);

async function acknowledgements(
  { url, databaseUrl }: RunningTidegate,
  prefix: string,
  seconds: number,
): Promise<readonly (readonly [string, number])[]> {
  const result = await load({ ...atIngress(url), seconds, prefix });
  await keptOnce(databaseUrl, { prefix, ...result });
  // What the load has left to do is not the flows'.
  await allCompleted(databaseUrl);
  return [
    ['acknowledged/s', result.acknowledgementsPerSecond],
    ['acknowledged, p99 ms', result.p99Ms],
  ];
}

async function flows(
  url: string,
  receiver: Receiver,
  prefix: string,
  counts: { readonly calm: number; readonly burst: number },
): Promise<readonly (readonly [string, number])[]> {
  const afterMs: number[] = [];
  for (const order of ordersOf(`calm-${prefix}`, counts.calm)) {
    const { acceptedAt } = await sendOrder(url, order);
    await receiver.eachOnce([order]);
    afterMs.push((receiver.effects.get(order)?.at ?? Number.NaN) - acceptedAt);
  }
  const orders = ordersOf(`burst-${prefix}`, counts.burst);
  const startedAt = performance.now();
  await sendOrders(url, orders, INGRESS.connections);
  await receiver.eachOnce(orders);
  const took = performance.now() - startedAt;
  return [
    ['flows/s', perSecond(counts.burst, took)],
    ['202 to effect, p50 ms', median(afterMs)],
  ];
}

/** About an event that `fillJournal` has made, and its run. */
const questionsAbout = (id: string, run: string) => ({
  'list events': '/events?limit=50',
  'list events of a tenant and type': '/events?tenant=filled&type=order.placed&limit=50',
  'one event': `/events/${id}`,
  'trace of a story': `/trace/${id}`,
  'list runs': '/runs?limit=50',
  'list open runs': '/runs?status=open&limit=50',
  'one run': `/runs/${encodeURIComponent(run)}`,
  'list dead letters': '/dead-letters?limit=50',
});

async function questions(
  { url, databaseUrl }: RunningTidegate,
  journal: Journal,
  times: number,
): Promise<readonly (readonly [string, number])[]> {
  const lanes = Array.from({ length: LANES }, (_, lane) => lane);
  const [filled] = await execute(
    databaseUrl,
    `select events.id, deliveries.run
     from events join deliveries on deliveries.event_seq = events.seq
     where events.tenant = 'filled' order by events.seq limit 1`,
  );
  const about = questionsAbout(String(filled?.id), String(filled?.run));
  const asked: Readonly<Record<string, () => Promise<unknown>>> = {
    ...Object.fromEntries(
      Object.entries(about).map(([name, path]) => [name, () => ask(`${url}/api/v1${path}`)]),
    ),
    'pending runs, of the dispatcher': () => journal.pendingRuns(lanes, 2_000),
    'backlog, of the ingress': () => journal.backlog(),
  };
  const answered: (readonly [string, number])[] = [];
  for (const [name, answer] of Object.entries(asked)) {
    const tookMs: number[] = [];
    for (let time = 0; time < times; time += 1) {
      const startedAt = performance.now();
      await answer();
      tookMs.push(performance.now() - startedAt);
    }
    answered.push([`${name}, p50 ms`, median(tookMs)]);
  }
  return answered;
}

async function ask(url: string): Promise<void> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status} ${text}`);
}

function report(sizes: readonly number[], columns: readonly Measured[]): readonly Row[] {
  const names = [...(columns[0]?.keys() ?? [])];
  const valueAt = (name: string, index: number) => columns.at(index)?.get(name) ?? Number.NaN;
  console.log('');
  printTable(
    ['', ...sizes.map((size) => `of ${number(size)}`)],
    names.map((name) => [name, ...columns.map((_, index) => number(valueAt(name, index)))]),
  );
  return names.map((name) => {
    const [value, base] = [valueAt(name, -1), valueAt(name, 0)];
    return {
      name: `${name}, at 100 ×`,
      value,
      against: 'at 1 ×',
      base,
      goal: name.endsWith('/s')
        ? atLeast(value / base, 1 / SLOWER_MAX, ' ×')
        : atMost(value / base, SLOWER_MAX, ' ×'),
    };
  });
}
