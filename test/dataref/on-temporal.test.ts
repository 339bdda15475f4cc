import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { temporal } from '@temporalio/proto';
import type { Journal } from '../../src/journal/journal.ts';
import { TidegateError } from '../../src/model/error.ts';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';
import { digest } from './fixtures/digest.ts';

const GROWN_EARLY = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=30'];
const FILLER = 'd'.repeat(100_000);

/** JSON that careless code changes: order of keys, half surrogate pairs, keys of prototypes, look-alikes. */
const odd = (id: string): Json =>
  JSON.parse(`{
    "z": 1, "a": -0, "10": "ten", "9": 5e-324, "half": "\\ud800", "nul": "\\u0000", "__proto__": {"evil": true},
    "constructor": {"prototype": 1}, "é": [[], {}, null, 1e21, 0.1],
    "event": {"specversion": "1.0", "tenantid": "other", "source": "test", "id": "secret",
      "dataref": "/api/v1/events/secret?tenant=other&source=test"},
    "again": {"specversion": "1.0", "tenantid": "default", "source": "test", "id": "${id}", "data": "${FILLER}"},
    "filler": "${id} ${FILLER}"
  }`);

const event = (id: string, subject: string): TidegateEvent =>
  testEvent({ id, subject, data: odd(id) });
const small = (id: string, subject: string): TidegateEvent => testEvent({ id, subject, data: id });

describe('large event data on a real Temporal server', () => {
  let engine: TestEngine;
  const looked = new Map<string, string>();
  let gate: Promise<void> = Promise.resolve();
  let reads = 0;
  /** What is wrong with reading event data; it has to be mended by the test that breaks it. */
  let fault: 'away' | 'unknown' | undefined;

  const reading = (journal: Journal): Pick<Journal, 'dataOfEvents'> => ({
    dataOfEvents: async (owner, names) => {
      reads += 1;
      if (fault === 'away') throw new TidegateError('journal_unavailable', 'away');
      if (fault === 'unknown') return names.map(() => ({ status: 'unknown' as const }));
      return journal.dataOfEvents(owner, names);
    },
  });

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
      operations: {
        'probe.look': async ({ input }: OperationCall) => {
          const { event: given } = input as unknown as { event: TidegateEvent };
          looked.set(given.id, JSON.stringify(given));
          return digest(given.data);
        },
        'probe.wait': async ({ input }: OperationCall) => {
          if ((input as { n: number }).n === 8) await gate;
          return null;
        },
      },
      serverArgs: GROWN_EARLY,
      reading,
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine?.stop();
  });

  /** The histories of all executions of a run. */
  const historiesOf = async (run: RunId) => {
    const histories: temporal.api.history.v1.IHistory[] = [];
    const executions = engine.client.workflow.list({ query: `WorkflowId = "${run}"` });
    for await (const { runId } of executions) {
      histories.push(await engine.client.workflow.getHandle(run, runId).fetchHistory());
    }
    return histories;
  };
  const bytesOf = (histories: readonly temporal.api.history.v1.IHistory[]): number =>
    histories.reduce(
      (sum, history) => sum + temporal.api.history.v1.History.encode(history).finish().length,
      0,
    );
  const resultsOf = async (run: RunId): Promise<readonly unknown[]> =>
    (await engine.row(run))?.settlements?.map(({ result }) => result) ?? [];

  it('is not in the history, and a flow and its operations see it exactly', async function () {
    this.timeout(60_000);
    const run = engine.run('each', 'ten');
    const events = Array.from({ length: 10 }, (_, n) => event(`ten-${n}`, 'ten'));
    for (const one of events) await engine.send('each', 'ten', one);
    await engine.settled(run, 10);
    const expected = events.map(({ data }) => [digest(data), digest(data)]);
    const results = await resultsOf(run);
    assert.deepEqual(new Set(results.map(String)), new Set(expected.map(String)));
    for (const one of events) assert.ok(looked.get(one.id) === JSON.stringify(one), one.id);
    const histories = await until('its histories', async () => {
      const found = await historiesOf(run);
      return found.length > 1 && found;
    });
    const bytes = bytesOf(histories);
    assert.ok(bytes < 100_000, `${bytes} bytes for ${10 * JSON.stringify(events[0]).length}`);
  });

  it('goes along when a run continues as new', async function () {
    this.timeout(60_000);
    const run = engine.run('busy', 'carried');
    let open = (): void => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const events = [1, 2, 3].map((n) => event(`carried-${n}`, 'carried'));
    for (const one of events) await engine.send('busy', 'carried', one);
    await until('an event in the inbox', async () => {
      const view = await engine.client.workflow
        .getHandle(run)
        .query<{ inboxCount: number }>('run')
        .catch(() => undefined);
      return (view?.inboxCount ?? 0) > 0;
    });
    open();
    await engine.settled(run, 3);
    const results = await resultsOf(run);
    assert.deepEqual(new Set(results), new Set(events.map(({ data }) => digest(data))));
    const histories = await until('its histories', async () => {
      const found = await historiesOf(run);
      return found.length > 1 && found;
    });
    assert.ok(bytesOf(histories) < 100_000);
    const isCarried = histories.some((history) => {
      const [input] =
        history.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
      return input?.metadata?.['tidegate-dataref'] !== undefined;
    });
    assert.ok(isCarried, 'no execution began with a reference');
  });

  it('is in no execution that waits out a long quiet time', async function () {
    this.timeout(60_000);
    const run = engine.run('quiet', 'long');
    const first = event('long-1', 'long');
    await engine.send('quiet', 'long', first);
    await engine.settled(run, 1);
    assert.deepEqual(await resultsOf(run), [digest(first.data)]);
    const latest = await until('a second execution that waits', async () => {
      const [found, ...others] = await historiesOf(run);
      const begun = found?.events?.[0]?.workflowExecutionStartedEventAttributes;
      const waits = found?.events?.some((one) => one.timerStartedEventAttributes);
      return others.length === 1 && begun?.continuedExecutionRunId && waits && found;
    });
    assert.doesNotMatch(JSON.stringify(latest), /dataref/);
  });

  /** A run that waits for its third event, and a worker that has none of its data in memory. */
  const waitingRun = async (key: string) => {
    const run = engine.run('third', key);
    const first = event(`${key}-1`, key);
    await engine.send('third', key, first);
    await engine.send('third', key, event(`${key}-2`, key));
    await until('two events taken in', async () => {
      const view = await engine.client.workflow
        .getHandle(run)
        .query<{ seenThrough: number }>('run')
        .catch(() => undefined);
      return view?.seenThrough === 2;
    });
    await engine.stopWorker();
    const before = reads;
    const closed = async () => {
      await engine.settled(run, 3);
      const expected = [digest(first.data), digest(`${key}-3`), 3];
      assert.deepEqual(await resultsOf(run), [expected]);
      assert.ok(reads > before, 'nothing was read again');
    };
    return { run, closed };
  };

  it('is read again by a worker that has just begun', async function () {
    this.timeout(60_000);
    const { closed } = await waitingRun('restart');
    await engine.startWorker();
    await engine.send('third', 'restart', small('restart-3', 'restart'));
    await closed();
  });

  it('is waited for while the journal is away', async function () {
    this.timeout(60_000);
    const { run, closed } = await waitingRun('away');
    fault = 'away';
    const before = reads;
    await engine.startWorker();
    await engine.send('third', 'away', small('away-3', 'away'));
    await until('three tries', () => reads >= before + 3);
    fault = undefined;
    await closed();
    const [history] = await historiesOf(run);
    const failed = history?.events?.filter((one) => one.workflowTaskFailedEventAttributes);
    assert.deepEqual(failed, []);
  });

  it('that is missing fails the task until it is there, and nothing else', async function () {
    this.timeout(90_000);
    const { run, closed } = await waitingRun('missing');
    fault = 'unknown';
    await engine.startWorker();
    await engine.send('third', 'missing', small('missing-3', 'missing'));
    const handle = engine.client.workflow.getHandle(run);
    const failure = await until(
      'a task that fails',
      async () => {
        const { events } = await handle.fetchHistory();
        const failed = events?.find((one) => one.workflowTaskFailedEventAttributes);
        return failed?.workflowTaskFailedEventAttributes?.failure ?? undefined;
      },
      30_000,
    );
    assert.match(failure.message ?? '', /does not have the data of the event missing-1 from test/);
    // Other runs go on meanwhile, on the same worker.
    await engine.send('each', 'beside', small('beside-1', 'beside'));
    await engine.settled(engine.run('each', 'beside'), 1);
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    fault = undefined;
    await until(
      'the run to go on',
      async () => (await engine.row(run))?.status === 'settled',
      60_000,
    );
    await closed();
  });
});
