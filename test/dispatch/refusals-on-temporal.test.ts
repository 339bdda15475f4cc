import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import { reconcile } from '../../src/dispatch/reconcile.ts';
import { LANES } from '../../src/journal/journal.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import type { Outcome } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { ensureSearchAttributes } from '../../src/search-attributes.ts';
import { bundleFlows } from '../../src/worker.ts';
import { silent, startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const SIGNALS_MAX = 5;
const HISTORY_EVENTS_MAX = 120;
const BLOB_BYTES_MAX = 20_000;
const LANE_NUMBERS = Array.from({ length: LANES }, (_, lane) => lane);
const PATIENCE_MS = 60_000;
const pathOf = (file: string) => fileURLToPath(new URL(`./fixtures/${file}`, import.meta.url));
const ACT = { actor: 'ada', reason: 'because' };

describe('what a real Temporal server refuses', function () {
  this.timeout(120_000);
  let engine: TestEngine;
  let bare: Client;
  const acted = new Map<RunId, number[]>();

  before(async () => {
    engine = await startEngine({
      flowsPath: pathOf('refusal-flows.ts'),
      operations: {
        'probe.act': async ({ run, input }) => {
          acted.set(run, [...(acted.get(run) ?? []), (input as { n: number }).n]);
          return null;
        },
      },
      whenUndeliverable: (flow) => (flow === 'going' ? 'go-on' : 'hold'),
      serverArgs: [
        ...['--dynamic-config-value', `history.maximumSignalsPerExecution=${SIGNALS_MAX}`],
        ...['--dynamic-config-value', `limit.historyCount.error=${HISTORY_EVENTS_MAX}`],
        ...['--dynamic-config-value', `limit.blobSize.error=${BLOB_BYTES_MAX}`],
        // What is not warned of is not refused.
        ...['--dynamic-config-value', `limit.blobSize.warn=${BLOB_BYTES_MAX}`],
      ],
      faulty: (deliver) => (run, parts, batch) => {
        const isBare = parts.key === 'bare';
        return isBare ? toBare(run, parts, batch) : deliver(run, parts, batch);
      },
    });
    await engine.env.connection.workflowService.registerNamespace({
      namespace: 'bare',
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    bare = new Client({ connection: engine.env.connection, namespace: 'bare' });
    const toBare = temporalDeliver(bare, { summaryOf: () => undefined });
  });
  after(() => engine?.stop());

  /** Accepts events for a run at once; their data is a number and, of those named, too much text. */
  const append = async (
    flow: string,
    key: string,
    count: number,
    large: readonly number[] = [],
  ) => {
    const run = engine.run(flow, key);
    await engine.journal.append(
      Array.from({ length: count }, (_, index) => {
        const n = index + 1;
        const data = { n, ...(large.includes(n) && { text: 'x'.repeat(1.5 * BLOB_BYTES_MAX) }) };
        return {
          event: testEvent({ id: `${flow}-${key}-${n}`, data }),
          status: 'accepted' as const,
          deliveries: [{ flow, key, run }],
        };
      }),
    );
    return run;
  };
  const rowThat = (run: RunId, what: string, is: (row: RunRow) => boolean) =>
    until(
      `${run} ${what}`,
      async () => {
        const row = await engine.row(run);
        return row !== undefined && is(row) && row;
      },
      PATIENCE_MS,
    );
  const settled = (run: RunId, through: number) =>
    rowThat(run, `to settle ${through}`, ({ settledThrough }) => settledThrough === through);
  const lettersOf = async (run: RunId) => {
    const { rows } = await engine.journal.listDeadLetters({ limit: 500 });
    return rows.flatMap((row) => ('run' in row && row.run === run ? [row] : []));
  };
  const aside = (run: RunId) =>
    until(
      `${run} to have a dead letter`,
      async () => {
        const [letter] = await lettersOf(run);
        return letter?.kind === 'undeliverable' && letter;
      },
      PATIENCE_MS,
    );
  const handle = (run: RunId) => engine.client.workflow.getHandle(run);
  const look = (failingAttempts = 2) =>
    reconcile({ journal: engine.journal, client: engine.client, logger: silent }, LANE_NUMBERS, {
      ...{ idleMs: 0, failingAttempts },
    });
  /** The outcomes of a run's deliveries, in order. */
  const outcomes = async (run: RunId, count: number): Promise<readonly (Outcome | undefined)[]> => {
    const [flow, , key] = run.split(':');
    const found = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const [row] = await engine.journal.findEvents('default', `${flow}-${key}-${index + 1}`);
        return row?.deliveries.map(({ settlement }) => settlement?.outcome);
      }),
    );
    return found.map((each) => each?.at(-1));
  };

  it('an event that is too large: what is before it goes on, what is after it waits, until a person has decided', async () => {
    const run = await append('held', 'large', 4, [2]);
    const letter = await aside(run);
    assert.deepEqual(
      [letter.number, letter.event.id, letter.rule, letter.held],
      [2, 'held-large-2', 'hold', 2],
    );
    assert.match(letter.reason, /size exceeds limit/);
    await settled(run, 1);
    assert.deepEqual(acted.get(run), [1]);
    const number = Number(letter.deadLetter.split('-')[1]);
    await engine.journal.redelivery.discard({ kind: 'undeliverable', number }, ACT);
    await settled(run, 4);
    assert.deepEqual(acted.get(run), [1, 3, 4]);
    assert.deepEqual(await outcomes(run, 4), [
      ...['completed', 'undeliverable', 'completed', 'completed'],
    ]);
    assert.deepEqual(await lettersOf(run), []);
  });

  it('an event that is too large, where the flow goes on: all others are done, once and in order', async () => {
    const run = await append('going', 'large', 6, [1, 4, 6]);
    await settled(run, 6);
    assert.deepEqual(acted.get(run), [2, 3, 5]);
    assert.deepEqual(
      await outcomes(run, 6),
      [1, 2, 3, 4, 5, 6].map((n) => ([1, 4, 6].includes(n) ? 'undeliverable' : 'completed')),
    );
    const letters = await lettersOf(run);
    assert.deepEqual(
      letters.map(({ kind }) => kind),
      Array(3).fill('undeliverable'),
    );
  });

  it('many events that are too large together: they go in several calls, and nobody hears of it', async () => {
    const run = engine.run('held', 'together');
    const entries = [1, 2, 3, 4, 5].map((n) => ({
      event: testEvent({ id: `held-together-${n}`, data: { n, text: 'x'.repeat(8_000) } }),
      status: 'accepted' as const,
      deliveries: [{ flow: 'held', key: 'together', run }],
    }));
    await engine.journal.append(entries);
    await settled(run, 5);
    assert.deepEqual(acted.get(run), [1, 2, 3, 4, 5]);
    assert.deepEqual(await lettersOf(run), []);
  });

  it('a run that has had all signals that it may: it waits, says so, and goes on when it has ended', async () => {
    const run = engine.run('patient', 'deaf');
    const send = (n: number) =>
      engine.send('patient', 'deaf', testEvent({ id: `patient-deaf-${n}`, data: { n } }));
    // The first is what the run begins with.
    const last = SIGNALS_MAX + 1;
    for (let n = 1; n <= last; n += 1) {
      await send(n);
      await rowThat(run, `to be sent ${n}`, ({ sentThrough }) => sentThrough === n);
    }
    await send(last + 1);
    const row = await rowThat(
      run,
      'to say why',
      ({ dispatchError }) => dispatchError !== undefined,
    );
    assert.match(row.dispatchError ?? '', /execution limit for signal/);
    assert.deepEqual([row.sentThrough, await lettersOf(run)], [last, []]);
    await handle(run).executeUpdate('decide', { args: [{ action: 'flush', ...ACT }] });
    await settled(run, last);
    await rowThat(run, 'to be sent the last', ({ sentThrough }) => sentThrough === last + 1);
    assert.equal((await engine.row(run))?.dispatchError, undefined);
    await handle(run).terminate();
  });

  it('a namespace without the search attributes: the run waits, says so, and goes on when it has them', async () => {
    const run = await append('held', 'bare', 1);
    await rowThat(run, 'to say why', ({ dispatchError = '' }) =>
      dispatchError.includes('search attribute'),
    );
    assert.deepEqual(await lettersOf(run), []);
    await ensureSearchAttributes(engine.env.connection as Connection, 'bare');
    await rowThat(run, 'to be sent', ({ sentThrough }) => sentThrough === 1);
    assert.equal((await bare.workflow.getHandle(run).describe()).status.name, 'RUNNING');
    // Nobody looks into that namespace here.
    await engine.journal.settleLost(run, 1, 'the test is over');
  });

  it('a workflow type that no worker has: the run waits, says so, and is done by one that has it', async () => {
    const run = await append('late', 'unknown', 1);
    await until(
      'its workflow task to have failed',
      async () => {
        await look();
        return (await engine.row(run))?.dispatchError;
      },
      PATIENCE_MS,
    );
    assert.match((await engine.row(run))?.dispatchError ?? '', /workflow task has failed/);
    assert.deepEqual(await lettersOf(run), []);
    await engine.stopWorker();
    const worker = await Worker.create({
      connection: engine.env.nativeConnection,
      taskQueue: 'tidegate',
      workflowBundle: await bundleFlows(pathOf('late-flows.ts'), silent),
      activities: { ...engine.journal.activities },
    });
    await worker.runUntil(settled(run, 1));
    assert.deepEqual(await outcomes(run, 1), ['completed']);
    await engine.startWorker();
  });

  it('a history over its limit, which ends the workflow: what was not settled is a dead letter, once', async () => {
    const run = await append('busy', 'grown', 1);
    const large = engine.run('busy', 'overgrown');
    await engine.send(
      ...(['busy', 'overgrown'] as const),
      testEvent({ id: 'busy-overgrown-1', data: { n: HISTORY_EVENTS_MAX } }),
    );
    await until(
      'its workflow to have ended',
      async () => {
        const description = await handle(large)
          .describe()
          .catch(() => undefined);
        return description?.status.name === 'TERMINATED';
      },
      PATIENCE_MS,
    );
    assert.equal(await look(), 1);
    assert.equal(await look(), 0);
    assert.deepEqual(await outcomes(large, 1), ['lost']);
    const letters = await lettersOf(large);
    assert.deepEqual(
      letters.map(({ kind }) => kind),
      ['lost'],
    );
    await settled(run, 1);
    assert.deepEqual(await outcomes(run, 1), ['completed']);
  });
});
