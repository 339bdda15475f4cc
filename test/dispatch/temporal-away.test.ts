import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { unpackDeliveries } from '../../src/model/delivery-batch.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { type Restartable, restartable } from '../faults/processes.ts';
import { testEvent } from '../support/events.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const KEYS = ['a', 'b', 'c'] as const;

describe('with Temporal away', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-away-'));
  const log: string[] = [];
  let temporal: Restartable;
  let connection: Connection;
  let client: Client;
  let journal: Journal;
  let dispatcher: Dispatcher;
  let sent = 0;

  before(async function () {
    this.timeout(60_000);
    const port = await freePort();
    temporal = restartable(
      'temporal',
      [
        await findTemporalCli(process.env),
        ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)],
        ...['--log-level', 'error', '--db-filename', join(directory, 'temporal.db')],
        ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
          '--search-attribute',
          `${name}=Keyword`,
        ]),
      ],
      {},
    );
    connection = lazyConnection(localTemporal(port));
    client = new Client({ connection });
    journal = await openJournal({});
    dispatcher = createDispatcher({
      journal,
      logger: createLogger({ level: 'info', destination: { write: (line) => log.push(line) } }),
      holder: 'test',
      deliver: temporalDeliver(client, { summaryOf: () => undefined }),
    });
  });
  after(async function () {
    this.timeout(30_000);
    await dispatcher.stop();
    await journal.close();
    await connection.close();
    await temporal.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  const runOf = (key: string): RunId => makeRunId({ flow: 'flow', tenant: 'default', key });
  const send = async (key: string): Promise<void> => {
    sent += 1;
    const event = testEvent({ id: `e${sent}`, data: { n: sent } });
    const deliveries = [{ flow: 'flow', key, run: runOf(key) }];
    const [result] = await journal.append([{ event, status: 'accepted', deliveries }]);
    assert.equal(result?.status, 'accepted');
    dispatcher.offer(result.deliveries.map((target) => ({ target, event })));
  };
  const allSent = (withinMs?: number) =>
    until('everything to be sent', async () => (await journal.backlog()).runs === 0, withinMs);
  /** The numbers that a run's workflow was given, in order. */
  const numbersGivenTo = async (key: string): Promise<readonly number[]> => {
    const { events } = await client.workflow.getHandle(runOf(key)).fetchHistory();
    return (events ?? []).flatMap((event) => {
      const { workflowExecutionStartedEventAttributes: begun } = event;
      const given = event.workflowExecutionSignaledEventAttributes ?? begun;
      const payload = given?.input?.payloads?.[0];
      if (payload === undefined) return [];
      const input = JSON.parse(Buffer.from(payload.data ?? []).toString());
      const batch = unpackDeliveries(begun ? input.deliveries : input);
      return (batch ?? []).map(({ number }) => number);
    });
  };

  it('takes events and hands them on, in order, when it is back on the same port', async function () {
    this.timeout(90_000);
    temporal.start();
    dispatcher.start();
    for (const key of ['a', 'a', 'b']) await send(key);
    await allSent(30_000);

    await temporal.kill();
    for (let n = 0; n < 30; n += 1) await send(KEYS[n % KEYS.length] ?? 'a');
    await until('the outage to be noticed', () => log.join().includes('Temporal does not answer'));
    const waiting = await Promise.all(KEYS.map((key) => journal.findRun(runOf(key))));
    assert.deepEqual(
      waiting.map((row) => [row?.sentThrough, row?.acceptedThrough]),
      [
        [2, 12],
        [1, 11],
        [0, 10],
      ],
    );

    temporal.start();
    await allSent(30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${temporal.output()}`);
    });
    for (const [key, count] of [['a', 12] as const, ['b', 11] as const, ['c', 10] as const]) {
      // A call whose answer was lost is made again: what counts is the first time of each number.
      const given = [...new Set(await numbersGivenTo(key))];
      assert.deepEqual(
        given,
        Array.from({ length: count }, (_, index) => index + 1),
      );
    }
  });
});
