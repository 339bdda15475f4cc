/**
 * Twice what the ingress can take, for a minute: what is accepted is answered in time, kept once, and comes to an
 * outcome; what is refused is told when to come again; memory stays.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import pg from 'pg';
import { LIMITS } from '../src/model/limits.ts';
import { load, signedRequest } from './load.ts';
import type { Bench } from './part.ts';
import { residentMb } from './processes.ts';
import { startTidegate } from './stack.ts';
import { median, quantile } from './statistics.ts';
import { atMost, printTable, type Row } from './table.ts';

const SECONDS = 60;
/** So many that the senders do not wait for each other, and more than the ingress can answer in time. */
const CONNECTIONS = 5_000;
const KEYS = 500;
/** The bound that is stated: what a request of any priority waits at most. */
const P99_MS_MAX = LIMITS.answerDelayHighMs;
/** By how much the last third may need more memory than the first. */
const MEMORY_MARGIN_MB = 96;

interface Overload {
  readonly sent: number;
  readonly accepted: ReadonlySet<string>;
  /** Those that had no answer when the load ended. */
  readonly unanswered: ReadonlySet<string>;
  readonly acceptedMs: readonly number[];
  readonly refused: ReadonlyMap<number, number>;
  readonly withoutRetryAfter: number;
  readonly errors: number;
  readonly rssMb: readonly number[];
}

async function overload(
  url: string,
  {
    perSecond,
    seconds,
    connections,
    pid,
  }: {
    readonly perSecond: number;
    readonly seconds: number;
    readonly connections: number;
    readonly pid: number;
  },
): Promise<Overload> {
  const accepted = new Set<string>();
  const unanswered = new Set<string>();
  const acceptedMs: number[] = [];
  const refused = new Map<number, number>();
  const rssMb: number[] = [];
  let sent = 0;
  let withoutRetryAfter = 0;
  const timer = setInterval(() => rssMb.push(residentMb(pid)), 500);
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    overallRate: perSecond,
    timeout: 30,
    requests: [
      {
        method: 'POST',
        setupRequest: (defaults, context) => {
          sent += 1;
          const id = `overload-${sent}`;
          unanswered.add(id);
          Object.assign(context, { id, sentAt: performance.now() });
          return { ...defaults, ...signedRequest(id, `deal-${sent % KEYS}`, sent) };
        },
        onResponse: (status, _body, context, headers) => {
          const { id, sentAt } = context as { readonly id: string; readonly sentAt: number };
          unanswered.delete(id);
          if (status === 202) {
            accepted.add(id);
            acceptedMs.push(performance.now() - sentAt);
            return;
          }
          refused.set(status, (refused.get(status) ?? 0) + 1);
          const names = Object.keys(headers ?? {}).map((name) => name.toLowerCase());
          if (!names.includes('retry-after')) withoutRetryAfter += 1;
        },
      },
    ],
  });
  clearInterval(timer);
  const { errors } = result;
  return { sent, accepted, unanswered, acceptedMs, refused, withoutRetryAfter, errors, rssMb };
}

interface Kept {
  readonly ids: ReadonlySet<string>;
  readonly rows: number;
  readonly duplicates: number;
  readonly unsettled: number;
  readonly lost: number;
}

/** What the journal has of the load, when every run has come to its end. */
async function kept(databaseUrl: string): Promise<Kept> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const end = Date.now() + 300_000;
    let unsettled = Number.NaN;
    while (Date.now() < end) {
      const { rows } = await client.query(
        'select count(*)::int as runs from runs where settled_through < accepted_through',
      );
      unsettled = rows[0].runs;
      if (unsettled === 0) break;
      await sleep(1_000);
    }
    const events = await client.query(
      "select id, duplicates from events where id like 'overload-%'",
    );
    const lost = await client.query(
      "select count(*)::int as count from settlements where outcome <> 'completed'",
    );
    return {
      ids: new Set(events.rows.map(({ id }) => id)),
      rows: events.rows.length,
      duplicates: events.rows.reduce((sum, row) => sum + row.duplicates, 0),
      unsettled,
      lost: lost.rows[0].count,
    };
  } finally {
    await client.end();
  }
}

const third = (values: readonly number[], which: 0 | 2): number => {
  const size = Math.floor(values.length / 3);
  return median(values.slice(which * size, (which + 1) * size));
};

export async function benchOverload({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const seconds = scaled(SECONDS, 2);
  const { url, ingresses, databaseUrl, stop } = await startTidegate(stack);
  const at = { url, signed: true, key: (n: number) => `deal-${n % KEYS}` };
  await load({ ...at, connections: 64, seconds: Math.min(3, seconds), prefix: 'warm' });
  const capacity = await load({
    ...at,
    connections: 64,
    seconds: Math.min(8, seconds),
    prefix: 'capacity',
  });
  const perSecond = Math.round(2 * capacity.acknowledgementsPerSecond);
  console.log(
    `takes ${capacity.acknowledgementsPerSecond.toFixed(0)}/s; is sent ${perSecond}/s for ${seconds} s\n`,
  );
  const told = await overload(url, {
    perSecond,
    seconds,
    connections: scaled(CONNECTIONS, 100),
    pid: ingresses[0].pid(),
  });
  const isAlive = (await fetch(`${url}/readyz`)).ok;
  const found = await kept(databaseUrl);
  await stop();
  check(told, found, isAlive);

  const { acceptedMs, rssMb } = told;
  const p99Ms = quantile(acceptedMs, 0.99);
  const grownMb = third(rssMb, 2) - third(rssMb, 0);
  return [
    {
      name: 'at twice what it takes, p99 ms of what is accepted',
      value: p99Ms,
      against: 'below what it takes',
      base: capacity.p99Ms,
      goal: atMost(p99Ms, P99_MS_MAX, ' ms'),
    },
    {
      name: 'at twice what it takes, p50 ms of what is accepted',
      value: median(acceptedMs),
      against: 'below what it takes',
      base: capacity.p50Ms,
    },
    {
      name: 'at twice what it takes, accepted/s',
      value: told.accepted.size / seconds,
      against: 'below what it takes',
      base: capacity.acknowledgementsPerSecond,
    },
    {
      name: 'ingress MB, last third',
      value: third(rssMb, 2),
      against: 'first third',
      base: third(rssMb, 0),
      goal: atMost(grownMb, MEMORY_MARGIN_MB, ' MB more'),
    },
  ];
}

/** Prints what must hold. @throws unless it does */
function check(told: Overload, found: Kept, isAlive: boolean): void {
  const { accepted, unanswered, refused } = told;
  const missing = [...accepted].filter((id) => !found.ids.has(id)).length;
  const unknown = [...found.ids].filter((id) => !accepted.has(id) && !unanswered.has(id)).length;
  const refusals = [...refused].map(([status, count]) => `${count} × ${status}`).join(', ');
  const held: readonly (readonly [string, boolean, string])[] = [
    ['no crash', isAlive, 'ready afterwards'],
    ['refusals say when', told.withoutRetryAfter === 0, refusals || 'none were refused'],
    ['no accepted event is missing', missing === 0, `${missing} of ${accepted.size}`],
    [
      'nothing refused is kept',
      unknown === 0,
      `${unknown}; ${unanswered.size} had no answer when the load ended`,
    ],
    [
      'nothing came twice',
      found.duplicates === 0 && found.rows === found.ids.size,
      `${found.rows} events, ${found.duplicates} duplicates`,
    ],
    [
      'every run has an outcome',
      found.unsettled === 0 && found.lost === 0,
      `${found.unsettled} runs without, ${found.lost} settlements not completed`,
    ],
    ['sent', true, `${told.sent}, ${told.errors} connection errors`],
  ];
  printTable(
    ['', 'holds', 'seen'],
    held.map(([what, holds, seen]) => [what, holds ? 'yes' : 'NO', seen]),
  );
  const broken = held.filter(([, holds]) => !holds).map(([what]) => what);
  if (broken.length > 0) throw new Error(`does not hold: ${broken.join(', ')}`);
}
