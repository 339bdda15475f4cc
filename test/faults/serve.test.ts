import assert from 'node:assert/strict';
import { Client, Connection } from '@temporalio/client';
import type { RunInput } from '../../src/model/protocol.ts';
import { execute } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type System, startSystem } from './system.ts';

const CUSTOMERS = 5;
/** For a process to start: long, for a machine that does much else. */
const START_MS_MAX = 180_000;

describe('tidegate serve, twice', function () {
  this.timeout(600_000);
  let receiver: Receiver;
  let system: System;
  const sent: string[] = [];

  before(async () => {
    receiver = await startReceiver();
    system = await startSystem({
      project: 'project',
      receiverUrl: receiver.url,
      twoOfEach: true,
      inOneProcess: true,
      logLevel: 'info',
    });
  });
  after(async () => {
    await system?.stop();
    await receiver?.stop();
  });

  const answerOf = async (path: string, nth = 0) => {
    const answer = await fetch(`${system.urls[nth]}${path}`).catch(() => undefined);
    return { status: answer?.status, text: (await answer?.text()) ?? '' };
  };
  const ready = (nth: number): Promise<boolean> =>
    until(
      `${nth} to be ready`,
      async () => (await answerOf('/readyz', nth)).status === 200,
      START_MS_MAX,
    );
  const send = async (order: string): Promise<void> => {
    sent.push(order);
    await system.send('order.placed', order, { order, customer: `c${sent.length % CUSTOMERS}` });
  };
  const settled = async (): Promise<void> => {
    await until(
      'every run to be settled',
      async () => (await system.unsettled()).length === 0,
      START_MS_MAX,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${system.output()}`);
    });
    const expected = [...sent].sort();
    assert.deepEqual(receiver.conflicts(), [], 'an idempotency key was used for two effects');
    assert.deepEqual([...receiver.ordersOf('/reserved')].sort(), expected);
    assert.deepEqual([...receiver.ordersOf('/digest')].sort(), expected);
    assert.deepEqual((await system.journal.listDeadLetters({})).rows, []);
  };

  it('begins runs in the process that dispatches them', async () => {
    for (let n = 0; n < 6; n += 1) await send(`calm-${n}`);
    await settled();
    const connection = await Connection.connect({ address: system.temporalAddress });
    const client = new Client({ connection });
    const runs = await execute(system.databaseUrl, 'select run from runs');
    const begun = await Promise.all(
      runs.map(async ({ run }) => {
        const { events } = await client.workflow.getHandle(String(run)).fetchHistory();
        const started = events?.[0]?.workflowExecutionStartedEventAttributes;
        const [payload] = started?.input?.payloads ?? [];
        const { execution } = JSON.parse(String(Buffer.from(payload?.data ?? []))) as RunInput;
        return { run, execution, isEager: started?.eagerExecutionAccepted };
      }),
    );
    await connection.close();
    const first = begun.filter(({ execution }) => execution === 'first');
    assert.ok(first.length > 0);
    // Whichever of the two dispatches a run has a worker beside it.
    assert.deepEqual(
      first.filter(({ isEager }) => isEager !== true),
      [],
    );
  });

  it('shows the series of both roles and of Temporal’s SDK at one address', async () => {
    const { status, text } = await answerOf('/metrics');
    assert.equal(status, 200);
    for (const name of ['tidegate_events_total', 'tidegate_settlements_total', 'temporal_']) {
      assert.ok(text.includes(`\n# TYPE ${name}`), name);
    }
  });

  it('takes events while Temporal is away, also when it starts then, and ends without an error', async () => {
    const { temporal, ingress } = system.processes;
    await temporal.kill();
    await send('away');
    assert.equal(await ingress.terminate(), 0, ingress.output());
    ingress.start();
    await until(
      'it to listen',
      async () => (await answerOf('/healthz')).status === 200,
      START_MS_MAX,
    );
    await send('away-1');
    await send('away-2');
    const { status, text } = await answerOf('/readyz');
    assert.equal(status, 503);
    const { errors } = JSON.parse(text) as {
      readonly errors: readonly { readonly path: string }[];
    };
    assert.deepEqual(errors.map(({ path }) => path).sort(), ['temporal', 'worker']);
    assert.equal(await ingress.terminate(), 0, ingress.output());
    ingress.start();
    temporal.start();
    await ready(0);
    await settled();
  });

  it('goes on in the other process when one is killed in the midst', async () => {
    const { ingress } = system.processes;
    for (let n = 0; n < 60; n += 1) {
      await send(`killed-${n}`);
      if (n === 20) await ingress.kill();
      if (n === 40) ingress.start();
    }
    await ready(0);
    await settled();
  });
});
