import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from '../support/postgres.ts';
import { until, untilNone } from '../support/wait.ts';
import { lockTable } from './lock-table.ts';
import type { Restartable } from './processes.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type System, startSystem } from './system.ts';

const CUSTOMERS = 5;
const EVENTS_MIN = 150;
/** Orders that may be open: a Temporal that has much more than it can do does less and less of it. */
const OPEN_MAX = 40;
/** For a process to start, and for the lanes to be shared out: long, for a machine that does much else. */
const START_MS_MAX = 180_000;
/** Waits have bounds of their own, which say what they waited for. */
const TEST_MS_MAX = 1_800_000;

describe('two ingresses and two workers', () => {
  let receiver: Receiver;
  let system: System;

  before(async function () {
    this.timeout(TEST_MS_MAX);
    receiver = await startReceiver();
    system = await startSystem({
      project: 'project',
      receiverUrl: receiver.url,
      twoOfEach: true,
      logLevel: 'info',
    });
  });
  after(async function () {
    this.timeout(TEST_MS_MAX);
    await system.stop();
    await receiver.stop();
  });

  const answers = async (url: string | undefined): Promise<boolean> =>
    (await fetch(`${url}/readyz`).catch(() => undefined))?.ok ?? false;
  const polls = async (worker: Restartable): Promise<boolean> =>
    worker.output().includes('worker polls');
  const lanesByHolder = async (): Promise<readonly number[]> => {
    const rows = await execute(
      system.databaseUrl,
      'select count(*) as lanes from lanes where holder is not null group by holder',
    );
    return rows.map(({ lanes }) => Number(lanes));
  };

  it('share the lanes', async function () {
    this.timeout(TEST_MS_MAX);
    await until(
      'each ingress to have half of them',
      async () => {
        const lanes = await lanesByHolder();
        return lanes.length === 2 && lanes.every((each) => each === 32);
      },
      START_MS_MAX,
    );
  });

  it('lose nothing and do nothing twice while one after the other is replaced', async function () {
    this.timeout(TEST_MS_MAX);
    const { ingress, worker } = system.processes;
    const { second } = system;
    assert.ok(second !== undefined);
    const failed: string[] = [];
    let isOver = false;
    const replacing = (async () => {
      for (const [old, isBack] of [
        [ingress, () => answers(system.urls[0])],
        [worker, () => polls(worker)],
        [second.ingress, () => answers(system.urls[1])],
        [second.worker, () => polls(second.worker)],
      ] as const) {
        await until('all to be there', isBack, START_MS_MAX);
        const code = await old.terminate();
        if (code !== 0) failed.push(`${old.name} ended with ${code}: ${old.output()}`);
        old.start();
        // The next one goes when this one is back, as a deployment does it.
        await until(`the new ${old.name}`, isBack, START_MS_MAX);
      }
    })().finally(() => {
      isOver = true;
    });
    // Told of when it is awaited, after the sending.
    replacing.catch(() => {});
    const orders: string[] = [];
    const untilDone = (count: number): Promise<boolean> =>
      until(
        `${count} orders to be done`,
        () => receiver.ordersOf('/confirmed').length >= count,
        START_MS_MAX,
      );
    while (!isOver || orders.length < EVENTS_MIN) {
      await untilDone(orders.length - OPEN_MAX);
      const order = `order-${orders.length}`;
      orders.push(order);
      const customer = `c${orders.length % CUSTOMERS}`;
      await system.send('order.placed', order, { order, customer });
      // On a slow machine a deployment takes longer, and is to be no greater load for it.
      await sleep(orders.length < EVENTS_MIN ? 20 : 250);
    }
    await replacing;
    assert.deepEqual(failed, []);

    const unsettled = async (): Promise<number> => (await system.unsettled()).length;
    await untilNone('every run to be settled', unsettled).catch(async (error: Error) => {
      const open = JSON.stringify((await system.unsettled()).slice(0, 3));
      throw new Error(`${error.message}; open: ${open}\n${system.output()}`);
    });
    const ordersOf = (path: string): readonly string[] => [...receiver.ordersOf(path)].sort();
    const expected = [...orders].sort();
    assert.deepEqual(receiver.conflicts(), [], 'an idempotency key was used for two effects');
    assert.deepEqual(ordersOf('/reserved'), expected);
    assert.deepEqual(ordersOf('/digest'), expected);
    assert.deepEqual((await system.journal.listDeadLetters({})).rows, []);
  });

  it('end without an error while the journal does not answer, and another goes on', async function () {
    this.timeout(TEST_MS_MAX);
    const { worker } = system.processes;
    const { second } = system;
    const lock = await lockTable(system.databaseUrl, 'settlements');
    await system.send('order.placed', 'order-late', { order: 'order-late', customer: 'late' });
    await lock.waited(1);
    const codes = await Promise.all([worker.terminate(), second?.worker.terminate()]);
    await lock.release();
    assert.deepEqual(codes, [0, 0], system.output());
    worker.start();
    const isSettled = async (): Promise<boolean> => (await system.unsettled()).length === 0;
    await until('the order to be settled', isSettled, START_MS_MAX);
    const confirmed = [...receiver.effects().values()].filter(
      ({ path, body }) =>
        path === '/reserved' && (body as { order?: string }).order === 'order-late',
    );
    assert.equal(confirmed.length, 1);
  });
});
