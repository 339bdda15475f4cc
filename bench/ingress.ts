/**
 * Signed webhooks, verified, validated and committed, at several numbers of connections, beside a handler that one
 * writes by hand and that verifies and validates the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadResult, load } from './load.ts';
import { type Stack, startNaive, startTidegate } from './stack.ts';
import { printTable } from './table.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const CONNECTIONS = [1, 64, 256];
/** As many runs as a project may have open, and no hot one. */
const KEYS = 500;

type Started = Awaited<ReturnType<typeof startNaive>>;

async function measure(name: string, { url, stop }: Started): Promise<readonly LoadResult[]> {
  const at = { url, signed: true, key: (n: number) => `deal-${n % KEYS}` };
  console.log(`${name}: warming up`);
  await load({ ...at, connections: 64, seconds: 2, prefix: `${name}-warm` });
  const results: LoadResult[] = [];
  for (const connections of CONNECTIONS) {
    // What the load before has left to do is not this one's.
    await sleep(3_000);
    console.log(`${name}: ${connections} connections`);
    results.push(
      await load({ ...at, connections, seconds: SECONDS, prefix: `${name}-${connections}` }),
    );
  }
  await stop();
  return results;
}

/** Prints one table of both. */
export async function benchIngress(stack: Stack): Promise<void> {
  console.log(`${SECONDS} s a row, ${KEYS} keys\n`);
  const naive = await measure('naive', await startNaive(stack.address));
  const tidegate = await measure('tidegate', await startTidegate(stack));
  console.log('');
  printTable(
    ['', 'connections', 'ack/s', '× naive', 'p50 ms', 'p99 ms', 'refused'],
    CONNECTIONS.flatMap((connections, index) =>
      [['naive', naive[index]] as const, ['tidegate', tidegate[index]] as const].flatMap(
        ([name, result]) => {
          if (result === undefined) return [];
          const base = naive[index]?.acknowledgementsPerSecond ?? Number.NaN;
          return [
            [
              name,
              String(connections),
              result.acknowledgementsPerSecond.toFixed(0),
              (result.acknowledgementsPerSecond / base).toFixed(1),
              result.p50Ms.toFixed(0),
              result.p99Ms.toFixed(0),
              String(result.failed),
            ],
          ];
        },
      ),
    ),
  );
}
