import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { lockTable } from './lock-table.ts';
import type { Restartable } from './processes.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type System, startSystem } from './system.ts';

const CUSTOMERS = 5;
const EVENTS_MIN = 150;

describe('two ingresses and two workers', () => {
  let receiver: Receiver;
  let system: System;

  before(async function () {
    this.timeout(120_000);
    receiver = await startReceiver();
    system = await startSystem({
      project: 'project',
      receiverUrl: receiver.url,
      twoOfEach: true,
      logLevel: 'info',
    });
  });
  after(async function () {
    this.timeout(60_000);
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
    this.timeout(60_000);
    await until(
      'each ingress to have half of them',
      async () => {
        const lanes = await lanesByHolder();
        return lanes.length === 2 && lanes.every((each) => each === 32);
      },
      30_000,
    );
  });

  it('lose nothing and do nothing twice while one after the other is replaced', async function () {
    this.timeout(300_000);
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
        await until('all to be there', isBack, 60_000);
        const code = await old.terminate();
        if (code !== 0) failed.push(`${old.name} ended with ${code}: ${old.output()}`);
        old.start();
        // The next one goes when this one is back, as a deployment does it.
        await until(`the new ${old.name}`, isBack, 60_000);
      }
    })().finally(() => {
      isOver = true;
    });
    // Told of when it is awaited, after the sending.
    replacing.catch(() => {});
    const orders: string[] = [];
    while (!isOver || orders.length < EVENTS_MIN) {
      const order = `order-${orders.length}`;
      orders.push(order);
      const customer = `c${orders.length % CUSTOMERS}`;
      await system.send('order.placed', order, { order, customer });
      // On a slow machine a deployment takes longer, and is to be no greater load for it.
      await sleep(orders.length < EVENTS_MIN ? 20 : 250);
    }
    await replacing;
    assert.deepEqual(failed, []);

    const isSettled = async (): Promise<boolean> => (await system.unsettled()).length === 0;
    await until('every run to be settled', isSettled, 120_000).catch(async (error: Error) => {
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
    this.timeout(120_000);
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
    await until('the order to be settled', isSettled, 60_000);
    const confirmed = [...receiver.effects().values()].filter(
      ({ path, body }) =>
        path === '/reserved' && (body as { order?: string }).order === 'order-late',
    );
    assert.equal(confirmed.length, 1);
  });
});
