/**
 * One event, one run, one call of an outside system: from the acknowledgement to the call, and how many a second,
 * beside the same workflow written by hand on Temporal's SDK and started by the handler itself.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from '../test/support/postgres.ts';
import { seededRandom } from '../test/support/random.ts';
import { printAnatomy, type RunsOfSide } from './anatomy.ts';
import { type SentOrder, sendOrder, sendOrders } from './orders.ts';
import type { Bench } from './part.ts';
import { processorMs } from './processes.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type RunningTidegate, startNaive, startTidegate } from './stack.ts';
import { median, perSecond, quantile, sum } from './statistics.ts';
import { atLeast, atMost, number, printTable, type Row } from './table.ts';

const ROUNDS = 5;
/** A quarter of what the hand-written one can do on two cores. */
const CALM_PER_SECOND = 10;
const CALM_ORDERS = 100;
const BURST_ORDERS = 400;
const BURST_CONNECTIONS = 64;
/** Whose effects count for the rate: a last one whose task waits for a timeout of Temporal's would decide it alone. */
const BURST_SHARE = 0.95;
const ADDED_MS_MAX = 15;

interface Side extends RunsOfSide {
  readonly name: 'by hand' | 'tidegate' | 'in one process';
  readonly url: string;
  /** From sending, from the acknowledgement. */
  readonly wholeMs: number[];
  readonly afterMs: number[];
  readonly calm: SentOrder[];
  readonly flowsPerSecond: number[];
  readonly processors: () => Promise<ProcessorMs>;
  /** Of a flow at saturation, by round. */
  readonly processorMs: ProcessorMs[];
}

/** Processor time by process. */
type ProcessorMs = Readonly<Record<'handler' | 'worker' | 'temporal' | 'postgres', number>>;

const side = (
  given: Pick<Side, 'name' | 'url' | 'client' | 'workflowId' | 'processors'>,
): Side => ({
  ...given,
  wholeMs: [],
  afterMs: [],
  calm: [],
  flowsPerSecond: [],
  processorMs: [],
});

export async function benchFlows({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const receiver = await startReceiver();
  const naive = await startNaive(stack, receiver.url);
  const tidegate = await startTidegate(stack, { receiverUrl: receiver.url });
  const together = await startTidegate(stack, { receiverUrl: receiver.url, inOneProcess: true });
  const byHand = side({
    name: 'by hand',
    url: naive.url,
    client: stack.client,
    workflowId: (order) => `order:${order}`,
    processors: async () => ({
      handler: processorMs(naive.handlerPid),
      worker: processorMs(naive.workerPid),
      temporal: processorMs(stack.temporalPid),
      postgres: 0,
    }),
  });
  const sideOf = (name: Side['name'], running: RunningTidegate): Side =>
    side({
      name,
      url: running.url,
      client: running.client,
      workflowId: (order) => `order:default:${order}`,
      processors: async () => {
        const [ingress, worker] = [running.ingresses[0].pid(), running.workers[0].pid()];
        return {
          handler: processorMs(ingress),
          worker: worker === ingress ? 0 : processorMs(worker),
          temporal: processorMs(stack.temporalPid),
          postgres: await postgresMs(running.databaseUrl),
        };
      },
    });
  const ours = sideOf('tidegate', tidegate);
  const inOneProcess = sideOf('in one process', together);
  const sides = [byHand, ours, inOneProcess];
  const orders = { calm: scaled(CALM_ORDERS, 5), burst: scaled(BURST_ORDERS, 10) };
  try {
    for (const { name, url } of sides) {
      const warm = ordersOf(`warm-${name}`, scaled(200, 5));
      await sendOrders(url, warm, BURST_CONNECTIONS);
      await receiver.eachOnce(warm);
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      console.log(`round ${round + 1} of ${ROUNDS}`);
      // Each goes first in turn.
      const inTurn = sides.map((_, nth) => sides[(nth + round) % sides.length] ?? byHand);
      for (const one of inTurn) await calm(one, receiver, { round, count: orders.calm });
      for (const one of inTurn) await burst(one, receiver, { round, count: orders.burst });
    }
    await printAnatomy(sides, receiver);
    printProcessors(sides);
    return [...rows(byHand, ours), ...rows(byHand, inOneProcess, 'in one process: ')];
  } finally {
    await Promise.all([naive.stop(), tidegate.stop(), together.stop(), receiver.stop()]);
  }
}

interface Round {
  readonly round: number;
  readonly count: number;
}

const ordersOf = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => `${prefix.replaceAll(' ', '-')}-${n}`);

/** One by one at random moments, so that no rhythm of ours meets one of theirs. */
async function calm(one: Side, receiver: Receiver, { round, count }: Round): Promise<void> {
  const random = seededRandom(round);
  const sending = [];
  for (const order of ordersOf(`calm-${one.name}-${round}`, count)) {
    await sleep((-Math.log(1 - random()) * 1_000) / CALM_PER_SECOND);
    sending.push(sendOrder(one.url, order));
  }
  const sent = await Promise.all(sending);
  await receiver.eachOnce(sent.map(({ order }) => order));
  for (const { order, sentAt, acceptedAt } of sent) {
    const at = receiver.effects.get(order)?.at ?? Number.NaN;
    one.wholeMs.push(at - sentAt);
    one.afterMs.push(at - acceptedAt);
  }
  one.calm.push(...sent);
}

/** As fast as they are taken. */
async function burst(one: Side, receiver: Receiver, { round, count }: Round): Promise<void> {
  const orders = ordersOf(`burst-${one.name}-${round}`, count);
  const before = await one.processors();
  const startedAt = performance.now();
  await sendOrders(one.url, orders, BURST_CONNECTIONS);
  await receiver.eachOnce(orders);
  const ends = orders.map((order) => receiver.effects.get(order)?.at ?? Number.NaN);
  one.flowsPerSecond.push(perSecond(count * BURST_SHARE, quantile(ends, BURST_SHARE) - startedAt));
  // What closes a run comes after its effect: it is not the next round's.
  await sleep(2_000);
  const after = await one.processors();
  const each = (name: keyof ProcessorMs) => (after[name] - before[name]) / count;
  one.processorMs.push({
    handler: each('handler'),
    worker: each('worker'),
    temporal: each('temporal'),
    postgres: each('postgres'),
  });
}

/** Of the server's processes for our connections, and of those that write for all. */
async function postgresMs(databaseUrl: string): Promise<number> {
  const rows = await execute(databaseUrl, 'select pid from pg_stat_activity');
  return sum(rows.map(({ pid }) => processorMs(Number(pid))));
}

function printProcessors(sides: readonly Side[]): void {
  console.log('');
  printTable(
    ['processor ms of one flow at saturation', 'handler', 'worker', 'Temporal', 'PostgreSQL'],
    sides.map(({ name, processorMs: rounds }) => [
      name,
      ...(['handler', 'worker', 'temporal', 'postgres'] as const).map((process) =>
        number(median(rounds.map((round) => round[process]))),
      ),
    ]),
  );
}

function rows(byHand: Side, ours: Side, prefix = ''): readonly Row[] {
  const latency = (
    name: string,
    of: (one: Side) => readonly number[],
    share: number,
    goal?: (addedMs: number) => Row['goal'],
  ): Row => {
    const [value, base] = [quantile(of(ours), share), quantile(of(byHand), share)];
    const reached = goal?.(value - base);
    return {
      name: `${prefix}${name}`,
      value,
      against: 'by hand',
      base,
      ...(reached && { goal: reached }),
    };
  };
  const [flows, naiveFlows] = [median(ours.flowsPerSecond), median(byHand.flowsPerSecond)];
  return [
    {
      name: `${prefix}flows/s at saturation`,
      value: flows,
      against: 'by hand',
      base: naiveFlows,
      goal: atLeast(flows / naiveFlows, 1, ' × by hand'),
    },
    latency(
      '202 to effect, p50 ms',
      ({ afterMs }) => afterMs,
      0.5,
      (addedMs) => atMost(addedMs, ADDED_MS_MAX, ' ms more'),
    ),
    latency('202 to effect, p99 ms', ({ afterMs }) => afterMs, 0.99),
    latency('sent to effect, p50 ms', ({ wholeMs }) => wholeMs, 0.5),
    latency('sent to effect, p99 ms', ({ wholeMs }) => wholeMs, 0.99),
  ];
}
