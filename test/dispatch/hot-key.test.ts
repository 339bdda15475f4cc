import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../../src/model/limits.ts';
import { parseRunId, type RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const EVENTS = 20_000;
const AT_ONCE = 1_000;

describe('a hot key', () => {
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('fixtures/hot-key-flows.ts', import.meta.url)),
      operations: {},
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine?.stop();
  });

  const append = async (run: RunId, count: number, data: object = {}) => {
    const { flow = '', key = '' } = parseRunId(run) ?? {};
    for (let from = 0; from < count; from += AT_ONCE) {
      const entries = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => {
        const n = from + index;
        const event = testEvent({ id: `${key}-${n}`, data: { n, ...data } });
        return { event, status: 'accepted' as const, deliveries: [{ flow, key, run }] };
      });
      const results = await engine.journal.append(entries);
      engine.offer(
        results.flatMap(({ deliveries }, index) =>
          deliveries.map((target) => ({ target, event: entries[index]?.event ?? assert.fail() })),
        ),
      );
    }
  };

  /** All events of an execution; a page of more than 4 MB is more than the client takes. */
  const eventsOf = async (workflowId: string, runId?: string) => {
    const { workflowService } = engine.client;
    const events = [];
    let nextPageToken: Uint8Array | null | undefined;
    do {
      const page = await workflowService.getWorkflowExecutionHistory({
        namespace: 'default',
        execution: { workflowId, ...(runId !== undefined && { runId }) },
        maximumPageSize: 5,
        ...(nextPageToken && { nextPageToken }),
      });
      events.push(...(page.history?.events ?? []));
      ({ nextPageToken } = page);
    } while (nextPageToken && nextPageToken.length > 0);
    return events;
  };

  /** How often each type of event is in the histories of all executions. */
  const historyOf = async (run: RunId): Promise<ReadonlyMap<string, number>> => {
    const byType = new Map<string, number>();
    for await (const { runId } of engine.client.workflow.list({ query: `WorkflowId = '${run}'` })) {
      for (const event of await eventsOf(run, runId)) {
        const type = Object.keys(event).find((name) => name.endsWith('Attributes')) ?? '';
        byType.set(type, (byType.get(type) ?? 0) + 1);
      }
    }
    return byType;
  };

  it('costs at most 5 history events and 2 calls per 1,000 events, and loses none', async function () {
    this.timeout(180_000);
    const run = engine.run('counted', 'hot');
    await append(run, EVENTS);
    const row = await until(
      'the window to be settled',
      async () => {
        const found = await engine.row(run);
        return found?.settledThrough === EVENTS && found;
      },
      150_000,
    );
    assert.deepEqual(
      row.settlements.map(({ window, result }) => [window?.count, result]),
      [[EVENTS, EVENTS]],
    );
    const history = await until('the history to be listed', async () => {
      const byType = await historyOf(run);
      return byType.has('workflowExecutionCompletedEventAttributes') && byType;
    });
    const calls = history.get('workflowExecutionSignaledEventAttributes') ?? 0;
    const total = [...history.values()].reduce((sum, count) => sum + count, 0);
    const standing = JSON.stringify([...history]);
    assert.ok(calls <= (2 * EVENTS) / 1_000, `${calls} calls: ${standing}`);
    assert.ok(total <= (5 * EVENTS) / 1_000, `${total} history events: ${standing}`);
  });

  it('is sent one call ahead while no worker takes anything in', async function () {
    this.timeout(120_000);
    const run = engine.run('counted', 'untaken');
    await engine.stopWorker();
    await append(run, EVENTS);
    const sent = async () => (await engine.row(run))?.sentThrough ?? 0;
    await until('the first call', async () => (await sent()) > 0, 30_000);
    // Time for six more calls, if they were not held back.
    await sleep(1_500);
    const ahead = await sent();
    await engine.startWorker();
    assert.ok(ahead <= LIMITS.deliveriesPerCallMax, `${ahead} sent`);
    await until(
      'the window to be settled',
      async () => (await engine.row(run))?.settledThrough === EVENTS,
      90_000,
    );
  });

  it('is sent no more in a call than Temporal takes, whatever the script it is written in', async function () {
    this.timeout(60_000);
    const run = engine.run('counted', 'wide');
    // Three bytes a character: as many characters as the limit has bytes would be 1.5 MB.
    await append(run, 600, { text: '潮'.repeat(2_000) });
    await until('all to be sent', async () => (await engine.row(run))?.sentThrough === 600, 40_000);
    for (const event of await eventsOf(run)) {
      const given =
        event.workflowExecutionSignaledEventAttributes ??
        event.workflowExecutionStartedEventAttributes;
      const bytes = given?.input?.payloads?.[0]?.data?.length ?? 0;
      assert.ok(bytes < 1.1 * LIMITS.deliveryBytesPerCallMax, `${bytes} bytes in one call`);
    }
  });
});
