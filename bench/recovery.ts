/**
 * How long it takes after a kill -9 until the backlog moves again: of the only ingress and of the only worker, which
 * are started again at once, as an orchestrator would, and of one of two, which is not.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './part.ts';
import { patiently, type Restartable, untilReady } from './processes.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { post } from './send.ts';
import { type RunningTidegate, type Stack, startTidegate, untilPolling } from './stack.ts';
import { median } from './statistics.ts';
import { number, printTable, type Row } from './table.ts';

const REPEATS = 5;
/** Accepted right before the kill. */
const BACKLOG = 50;
/** Sent on while the process is away, as senders do, until they are accepted. */
const EVERY_MS = 100;
const SOON_MS = 1_000;
/** Until leases and caches are as before. */
const PAUSE_MS = 3_000;

interface Case {
  readonly name: string;
  readonly role: 'ingress' | 'worker';
  readonly of: 1 | 2;
  readonly victim: (tidegate: RunningTidegate) => Restartable;
  /** Absent where another process takes over. */
  readonly untilStarted?: (stack: Stack, tidegate: RunningTidegate) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: 'the only ingress',
    role: 'ingress',
    of: 1,
    victim: ({ ingresses }) => ingresses[0],
    untilStarted: (_stack, { url }) => untilReady(`${url}/readyz`),
  },
  {
    name: 'the only worker',
    role: 'worker',
    of: 1,
    victim: ({ workers }) => workers[0],
    untilStarted: (stack, { workers }) => untilPolling(stack, workers[0].pid()),
  },
  {
    name: 'one of two ingresses',
    role: 'ingress',
    of: 2,
    victim: ({ ingresses: [first, second = first] }) => second,
  },
  {
    name: 'one of two workers',
    role: 'worker',
    of: 2,
    victim: ({ workers: [first, second = first] }) => second,
  },
];

/** In milliseconds after the kill. */
interface Recovery {
  /** The first effect of what was accepted after: what was before may be on its way already. */
  readonly movesMs: number;
  /** The last effect of what was accepted before, and in the first second after. */
  readonly caughtUpMs: number;
  /** From its start until it was ready. */
  readonly startMs?: number;
}

export async function benchRecovery({ stack, scaled }: Bench): Promise<readonly Row[]> {
  const repeats = scaled(REPEATS);
  const receiver = await startReceiver();
  const measured: Measured[] = [];
  try {
    for (const of of [1, 2] as const) {
      const tidegate = await startTidegate(stack, {
        receiverUrl: receiver.url,
        ingresses: of,
        workers: of,
      });
      for (const one of CASES.filter((each) => each.of === of)) {
        console.log(`kill -9 of ${one.name}, ${repeats} times`);
        const recoveries: Recovery[] = [];
        for (let repeat = 0; repeat < repeats; repeat += 1) {
          const prefix = `${one.name.replaceAll(' ', '-')}-${repeat}`;
          recoveries.push(await recover(stack, tidegate, receiver, { ...one, prefix }));
        }
        measured.push({ name: one.name, role: one.role, recoveries });
      }
      await tidegate.stop();
    }
  } finally {
    await receiver.stop();
  }
  return report(measured);
}

async function recover(
  stack: Stack,
  tidegate: RunningTidegate,
  receiver: Receiver,
  { prefix, victim, untilStarted }: Case & { readonly prefix: string },
): Promise<Recovery> {
  const killed = victim(tidegate);
  const before = Array.from({ length: BACKLOG }, (_, nth) => `${prefix}-before-${nth}`);
  // Half of them by the ingress that dies, where there are two.
  await Promise.all(
    tidegate.urls.map((url, index) =>
      post(url, before.filter((_, nth) => nth % tidegate.urls.length === index).map(orderPaid)),
    ),
  );
  await killed.kill();
  const killedAt = performance.now();
  if (untilStarted !== undefined) killed.start();
  const sending = sendOn(tidegate.urls, `${prefix}-after`);
  await untilStarted?.(stack, tidegate);
  const startMs = untilStarted && performance.now() - killedAt;
  await receiver.eachOnce(before);
  await receiver.eachOnce([await sending.first()]);
  const after = await sending.stop();
  await receiver.eachOnce(after.keys());

  const soon = [...after].flatMap(([order, at]) => (at < killedAt + SOON_MS ? [order] : []));
  const effectAt = (order: string) => receiver.effects.get(order)?.at ?? Number.NaN;
  const recovery = {
    movesMs: Math.min(...[...after.keys()].map(effectAt)) - killedAt,
    caughtUpMs: Math.max(...[...before, ...soon].map(effectAt)) - killedAt,
    ...(startMs !== undefined && { startMs }),
  };
  if (untilStarted === undefined) {
    killed.start();
    await Promise.all([
      ...tidegate.urls.map((url) => untilReady(`${url}/readyz`)),
      ...tidegate.workers.map((worker) => untilPolling(stack, worker.pid())),
    ]);
  }
  await sleep(PAUSE_MS);
  return recovery;
}

const orderPaid = (order: string) => ({ type: 'order.paid', id: order, data: { order } });

/** One order after another, each again until an ingress has accepted it. */
function sendOn(urls: readonly string[], prefix: string) {
  /** When each was. */
  const accepted = new Map<string, number>();
  let isOver = false;
  async function run(): Promise<void> {
    for (let nth = 0; !isOver; nth += 1) {
      const order = `${prefix}-${nth}`;
      for (let attempt = nth; !(await isAccepted(String(urls[attempt % urls.length]), order)); ) {
        attempt += 1;
        await sleep(20);
      }
      accepted.set(order, performance.now());
      await sleep(EVERY_MS);
    }
  }
  const running = run();
  return {
    first: () =>
      patiently('an order to be accepted', async () => [...accepted.keys()][0], { everyMs: 20 }),
    async stop(): Promise<ReadonlyMap<string, number>> {
      isOver = true;
      await running;
      return accepted;
    },
  };
}

const isAccepted = (url: string, order: string): Promise<boolean> =>
  // An ingress that died may have taken it: its repeat is then a duplicate.
  post(url, [orderPaid(order)], { statuses: ['accepted', 'duplicate'] }).then(
    () => true,
    () => false,
  );

interface Measured extends Pick<Case, 'name' | 'role'> {
  readonly recoveries: readonly Recovery[];
}

function report(measured: readonly Measured[]): readonly Row[] {
  console.log('');
  printTable(
    ['kill -9 of', 'ms until', 'median', 'worst'],
    measured.flatMap(({ name, recoveries }) =>
      (['movesMs', 'caughtUpMs', 'startMs'] as const).flatMap((what) => {
        const values = recoveries.flatMap((each) => each[what] ?? []);
        if (values.length === 0) return [];
        return [[name, TITLES[what], number(median(values)), number(Math.max(...values))]];
      }),
    ),
  );
  return measured.flatMap(({ name, role, recoveries }) => {
    const starts = measured.flatMap((other) =>
      other.role === role ? other.recoveries.flatMap(({ startMs }) => startMs ?? []) : [],
    );
    const isReplaced = recoveries.every(({ startMs }) => startMs === undefined);
    const [base, against] = [
      median(starts),
      `the start of ${role === 'ingress' ? 'an' : 'a'} ${role}`,
    ];
    const rows = (what: 'movesMs' | 'caughtUpMs'): readonly Row[] => {
      const values = recoveries.map((each) => each[what]);
      const title = `${name} killed, ms until ${TITLES[what]}`;
      return [
        { name: `${title}, median`, value: median(values), against, base },
        { name: `${title}, worst`, value: Math.max(...values), against, base },
      ];
    };
    // Where another lives, something moves all the time.
    return [...(isReplaced ? [] : rows('movesMs')), ...rows('caughtUpMs')];
  });
}

const TITLES = {
  movesMs: 'it moves',
  caughtUpMs: 'all that waited is done',
  startMs: 'started and ready',
} as const;
