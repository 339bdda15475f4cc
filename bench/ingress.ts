/**
 * Acknowledgements: signed webhooks, verified, validated and committed, at several numbers of connections, beside a
 * handler that one writes by hand and that verifies and validates the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { keptOnce } from './journal.ts';
import { type LoadResult, load } from './load.ts';
import type { Bench } from './part.ts';
import { startNaive, startTidegate } from './stack.ts';
import { atLeast, both, printTable, type Row } from './table.ts';

const SECONDS = 6;
const CONNECTIONS = [1, 64, 256];
/** What is promised, of a sender that does not wait for itself. */
const GOAL = { connections: 64, perSecond: 6_000, timesByHand: 20 };
/** As many runs as a project may have open, and no hot one. */
const KEYS = 500;

interface Started {
  readonly url: string;
  /** Where there is a journal. */
  readonly databaseUrl?: string;
  readonly stop: () => Promise<void>;
}

async function measure(
  name: string,
  seconds: number,
  { url, databaseUrl, stop }: Started,
): Promise<readonly LoadResult[]> {
  const at = { url, signed: true, key: (n: number) => `deal-${n % KEYS}` };
  console.log(`${name}: warming up`);
  await load({ ...at, connections: 64, seconds: Math.min(2, seconds), prefix: `${name}-warm` });
  const results: LoadResult[] = [];
  for (const connections of CONNECTIONS) {
    // What the load before has left to do is not this one's.
    await sleep(3_000);
    console.log(`${name}: ${connections} connections`);
    const prefix = `${name}-${connections}`;
    const result = await load({ ...at, connections, seconds, prefix });
    if (databaseUrl !== undefined) await keptOnce(databaseUrl, { prefix, ...result });
    results.push(result);
  }
  await stop();
  return results;
}

export async function benchIngress({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const seconds = scaled(SECONDS);
  console.log(`${seconds} s a row, ${KEYS} keys\n`);
  const naive = await measure('by hand', seconds, await startNaive(stack));
  const running = await startTidegate(stack);
  const tidegate = await measure('tidegate', seconds, running);
  const pairs = CONNECTIONS.flatMap((connections, index) => {
    const [byHand, ours] = [naive[index], tidegate[index]];
    return byHand === undefined || ours === undefined ? [] : [{ connections, byHand, ours }];
  });
  console.log('');
  printTable(
    ['', 'connections', 'ack/s', 'p50 ms', 'p99 ms', 'refused'],
    pairs.flatMap(({ connections, byHand, ours }) =>
      [['by hand', byHand] as const, ['tidegate', ours] as const].map(([name, result]) => [
        name,
        String(connections),
        result.acknowledgementsPerSecond.toFixed(0),
        result.p50Ms.toFixed(0),
        result.p99Ms.toFixed(0),
        String(result.failed),
      ]),
    ),
  );
  return pairs.flatMap(({ connections, byHand, ours }) => rows(connections, byHand, ours));
}

function rows(connections: number, byHand: LoadResult, ours: LoadResult): readonly Row[] {
  const row = (name: string, of: (result: LoadResult) => number): Row => ({
    name: `${name}, ${connections} connection${connections === 1 ? '' : 's'}`,
    value: of(ours),
    against: 'by hand',
    base: of(byHand),
  });
  const { acknowledgementsPerSecond: reached } = ours;
  const goal =
    connections === GOAL.connections
      ? both(
          atLeast(reached, GOAL.perSecond),
          atLeast(reached / byHand.acknowledgementsPerSecond, GOAL.timesByHand, ' × by hand'),
        )
      : undefined;
  return [
    {
      ...row('acknowledged/s', (result) => result.acknowledgementsPerSecond),
      ...(goal && { goal }),
    },
    row('acknowledged, p50 ms', ({ p50Ms }) => p50Ms),
    row('acknowledged, p99 ms', ({ p99Ms }) => p99Ms),
  ];
}
