import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';
import { type Restartable, restartable } from './processes.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const EVENTS = 300;
const CUSTOMERS = 5;
const KILLS = 9;
const root = fileURLToPath(new URL('../..', import.meta.url));

describe('worker, ingress and Temporal, killed at random moments', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-faults-'));
  let postgres: TestPostgres;
  let receiver: Receiver;
  let journal: Journal;
  let ingressUrl: string;
  let processes: {
    readonly temporal: Restartable;
    readonly ingress: Restartable;
    readonly worker: Restartable;
  };

  before(async function () {
    this.timeout(120_000);
    postgres = await startPostgres();
    const databaseUrl = await postgres.createDatabase();
    receiver = await startReceiver();
    const [temporalPort, uiPort, ingressPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    ingressUrl = `http://127.0.0.1:${ingressPort}`;
    const env = {
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: `127.0.0.1:${temporalPort}`,
      PORT: String(ingressPort),
      TIDEGATE_HTTP_BASE_URL: receiver.url,
      LOG_LEVEL: 'warn',
    };
    const node = (command: string): [string, ...string[]] => [
      process.execPath,
      ...['--conditions=tidegate-source', '--import', 'tsx', join(root, 'src/cli/main.ts')],
      ...[command, fileURLToPath(new URL('./fixtures/project', import.meta.url))],
    ];
    processes = {
      temporal: restartable(
        'temporal',
        [
          await findTemporalCli(process.env),
          ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'error'],
          ...['--port', String(temporalPort), '--ui-port', String(uiPort)],
          ...['--db-filename', join(directory, 'temporal.db')],
          ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
            '--search-attribute',
            `${name}=Keyword`,
          ]),
          ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
        ],
        {},
      ),
      ingress: restartable('ingress', node('ingress'), env),
      worker: restartable('worker', node('worker'), env),
    };
    journal = await openJournal({ databaseUrl });
    for (const started of Object.values(processes)) started.start();
    await until('the ingress to be ready', isReady, 60_000);
  });

  const isReady = async (): Promise<boolean> =>
    (await fetch(`${ingressUrl}/readyz`).catch(() => undefined))?.ok ?? false;

  after(async function () {
    this.timeout(60_000);
    for (const started of Object.values(processes)) await started.kill();
    await journal.close();
    await receiver.stop();
    await postgres.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Sends until it is accepted, as a sender that does not want to lose an event does. */
  async function send(order: string): Promise<void> {
    await until(
      `event ${order} to be accepted`,
      async () => {
        const response = await fetch(`${ingressUrl}/events/order.placed`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', 'Idempotency-Key': order },
          body: JSON.stringify({ order, customer: `c${order.length % CUSTOMERS}` }),
          signal: AbortSignal.timeout(5_000),
        }).catch(() => undefined);
        return response?.status === 202;
      },
      60_000,
    );
  }

  async function killAtRandom(isOver: () => boolean): Promise<readonly string[]> {
    const killed: string[] = [];
    const all = Object.values(processes);
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
      await send(order);
      await sleep(random() * 60);
    }
    isSent = true;
    const killed = await killing;
    assert.ok(killed.length >= 3, `only ${killed.length} kills happened`);

    await until(
      'every run to be settled',
      async () => {
        let after: string | undefined;
        do {
          const page = await journal.listRuns(
            {},
            { limit: 500, ...(after === undefined ? {} : { after }) },
          );
          if (page.rows.some(({ status }) => status !== 'settled')) return false;
          after = page.next;
        } while (after !== undefined);
        return true;
      },
      120_000,
    ).catch(async (error: Error) => {
      const page = await journal.listRuns({ status: 'open' }, { limit: 3 });
      throw new Error(
        `${error.message}; killed ${killed.join(', ')}; open: ${JSON.stringify(page.rows)}\n${Object.values(
          processes,
        )
          .map((started) => `--- ${started.name}\n${started.output()}`)
          .join('\n')}`,
      );
    });

    const effects = [...receiver.effects().values()];
    const ordersOf = (path: string): readonly string[] =>
      effects
        .filter((effect) => effect.path === path)
        .flatMap(({ body }) => {
          const { order, orders: several } = body as { order?: string; orders?: string[] };
          return order === undefined ? (several ?? []) : [order];
        })
        .sort();
    const expected = [...orders].sort();
    assert.deepEqual(receiver.conflicts(), [], 'an idempotency key was used for two effects');
    assert.deepEqual(ordersOf('/reserved'), expected);
    assert.deepEqual(ordersOf('/confirmed'), expected);
    assert.deepEqual(ordersOf('/digest'), expected);

    for (const order of orders) {
      const [row] = await journal.findEvents('default', order);
      assert.equal(row?.deliveries.length, 2, order);
      for (const delivery of row.deliveries) {
        assert.equal(delivery.settlement?.outcome, 'completed', `${order} in ${delivery.run}`);
      }
    }
    assert.deepEqual((await journal.listDeadLetters({})).rows, []);
  });
});
