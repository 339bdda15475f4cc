import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type System, startSystem } from './system.ts';

const EVENTS = 300;
const CUSTOMERS = 5;
const KILLS = 9;

describe('worker, ingress and Temporal, killed at random moments', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  let receiver: Receiver;
  let system: System;

  before(async function () {
    this.timeout(120_000);
    receiver = await startReceiver();
    system = await startSystem({ project: 'project', receiverUrl: receiver.url });
  });
  after(async function () {
    this.timeout(60_000);
    await system.stop();
    await receiver.stop();
  });

  async function killAtRandom(isOver: () => boolean): Promise<readonly string[]> {
    const killed: string[] = [];
    const all = Object.values(system.processes);
    while (killed.length < KILLS && !isOver()) {
      await sleep(300 + random() * 1_500);
      const victim = all[Math.floor(random() * all.length)];
      if (victim === undefined) continue;
      await victim.kill();
      await sleep(random() * 800);
      victim.start();
      killed.push(victim.name);
    }
    return killed;
  }

  it(`gives every accepted event one outcome, and every effect happened once (seed ${seed})`, async function () {
    this.timeout(300_000);
    const orders = Array.from(
      { length: EVENTS },
      (_, n) => `order-${n}${'x'.repeat(n % CUSTOMERS)}`,
    );
    let isSent = false;
    const killing = killAtRandom(() => isSent);
    for (const order of orders) {
      const customer = `c${order.length % CUSTOMERS}`;
      await system.send('order.placed', order, { order, customer });
      await sleep(random() * 60);
    }
    isSent = true;
    const killed = await killing;
    assert.ok(killed.length >= 3, `only ${killed.length} kills happened`);

    const isOver = async (): Promise<boolean> => (await system.unsettled()).length === 0;
    await until('every run to be settled', isOver, 120_000).catch(async (error: Error) => {
      const open = JSON.stringify((await system.unsettled()).slice(0, 3));
      throw new Error(
        `${error.message}; killed ${killed.join(', ')}; open: ${open}\n${system.output()}`,
      );
    });

    const ordersOf = (path: string): readonly string[] => [...receiver.ordersOf(path)].sort();
    const expected = [...orders].sort();
    assert.deepEqual(receiver.conflicts(), [], 'an idempotency key was used for two effects');
    assert.deepEqual(ordersOf('/reserved'), expected);
    assert.deepEqual(ordersOf('/confirmed'), expected);
    assert.deepEqual(ordersOf('/digest'), expected);

    for (const order of orders) {
      const [row] = await system.journal.findEvents('default', order);
      assert.equal(row?.deliveries.length, 2, order);
      for (const delivery of row.deliveries) {
        assert.equal(delivery.settlement?.outcome, 'completed', `${order} in ${delivery.run}`);
      }
    }
    assert.deepEqual((await system.journal.listDeadLetters({})).rows, []);
  });
});
