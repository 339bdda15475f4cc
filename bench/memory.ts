/**
 * A million events through the ingress, and the memory of ingress and worker by tenths. Sent in batches, so that it
 * takes minutes. Of ten events eight are of a type that no flow takes, one is filtered, and one goes into windows of
 * a thousand over twenty keys, so that the worker works all the time.
 */
import { performance } from 'node:perf_hooks';
import { execute } from '../test/support/postgres.ts';
import { allCompleted } from './journal.ts';
import type { Bench } from './part.ts';
import { residentMb } from './processes.ts';
import { type Sent, send } from './send.ts';
import { type RunningTidegate, startTidegate } from './stack.ts';
import { median, perSecond } from './statistics.ts';
import { atMost, number, printTable, type Row } from './table.ts';

const EVENTS = 1_000_000;
const BATCH = 500;
const PAGES = 20;
const SAMPLE_MS = 500;
/** Of the last three tenths to the second to fourth: in the first, caches fill. */
const GROWTH_MAX = 1.15;

/** In MB, of one process. */
interface Sample {
  readonly rss: number;
  /** In use, with what the collector has not taken yet. */
  readonly heap: number;
}
type Process = 'ingress' | 'worker';
type Tenth = Readonly<Record<Process, readonly Sample[]>> & { readonly perSecond: number };

export async function benchMemory({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const events = scaled(EVENTS, 10 * BATCH);
  const tidegate = await startTidegate(stack);
  try {
    console.log(`${events} events, ${BATCH} a request\n`);
    const tenths: Tenth[] = [];
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const count = Math.floor(events / 10);
      const watch = watchMemory(tidegate);
      const startedAt = performance.now();
      await send(tidegate.url, { from: tenth * count, count }, eventOf, {
        batch: BATCH,
        statuses: ['accepted', 'unrouted', 'filtered'],
      });
      const took = performance.now() - startedAt;
      tenths.push({ ...(await watch.stop()), perSecond: perSecond(count, took) });
    }
    await allCompleted(tidegate.databaseUrl);
    await check(tidegate.databaseUrl, 10 * Math.floor(events / 10));
    print(tenths);
    return (['ingress', 'worker'] as const).flatMap((process) => rows(process, tenths));
  } finally {
    await tidegate.stop();
  }
}

const eventOf = (nth: number): Sent => {
  const page = `page-${Math.floor(nth / 10) % PAGES}`;
  const id = `view-${nth}`;
  if (nth % 10 > 1) return { type: 'page.left', id, data: { page } };
  return { type: 'page.viewed', id, data: { page, isBot: nth % 10 === 1 } };
};

/** @throws unless every event is kept once, and each that a flow takes is in one window */
async function check(databaseUrl: string, events: number): Promise<void> {
  const found = await execute(
    databaseUrl,
    `select status, count(*)::int as events, sum(duplicates)::int as duplicates
     from events group by status order by status`,
  );
  const [counted] = await execute(
    databaseUrl,
    'select coalesce(sum(result::text::int), 0)::int as events from settlements',
  );
  const expected = [
    { status: 'accepted', events: events / 10, duplicates: 0 },
    { status: 'filtered', events: events / 10, duplicates: 0 },
    { status: 'unrouted', events: (8 * events) / 10, duplicates: 0 },
  ];
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`kept ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  }
  if (counted?.events !== events / 10) {
    throw new Error(`windows counted ${counted?.events} of ${events / 10} events`);
  }
}

function watchMemory({ url, workerMetricsUrl, ingresses, workers }: RunningTidegate) {
  const samples = { ingress: [] as Sample[], worker: [] as Sample[] };
  const sample = async (): Promise<void> => {
    const [ingress, worker] = await Promise.all([
      sampleOf(ingresses[0].pid(), `${url}/metrics`),
      sampleOf(workers[0].pid(), workerMetricsUrl),
    ]);
    samples.ingress.push(ingress);
    samples.worker.push(worker);
  };
  let last = sample();
  const timer = setInterval(() => {
    last = last.then(sample);
  }, SAMPLE_MS);
  return {
    async stop() {
      clearInterval(timer);
      await last;
      return samples;
    },
  };
}

async function sampleOf(pid: number, metricsUrl: string): Promise<Sample> {
  const text = await (await fetch(metricsUrl)).text();
  const bytes = /^tidegate_process_heap_used_bytes (\S+)$/m.exec(text)?.[1];
  return { rss: residentMb(pid), heap: Number(bytes) / 1_048_576 };
}

const rssOf = (samples: readonly Sample[]): number => median(samples.map(({ rss }) => rss));

/** What is left after a collection, as far as it was seen. */
const heapOf = (samples: readonly Sample[]): number => Math.min(...samples.map(({ heap }) => heap));

function print(tenths: readonly Tenth[]): void {
  printTable(
    ['tenth', 'events/s', 'ingress MB', 'ingress heap MB', 'worker MB', 'worker heap MB'],
    tenths.map(({ perSecond: rate, ingress, worker }, index) => [
      String(index + 1),
      ...[rate, rssOf(ingress), heapOf(ingress), rssOf(worker), heapOf(worker)].map(number),
    ]),
  );
}

function rows(process: Process, tenths: readonly Tenth[]): readonly Row[] {
  const row = (name: string, of: (samples: readonly Sample[]) => number): Row => {
    const values = tenths.map((tenth) => of(tenth[process]));
    const [value, base] = [median(values.slice(-3)), median(values.slice(1, 4))];
    return {
      name: `${process} ${name} MB, last three tenths`,
      value,
      against: 'second to fourth tenth',
      base,
      goal: atMost(value / base, GROWTH_MAX, ' ×'),
    };
  };
  return [row('resident', rssOf), row('heap', heapOf)];
}
