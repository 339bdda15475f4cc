import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { type Deliver, temporalDeliver } from '../../src/dispatch/deliver.ts';
import type { DeliveryRow, SettlementRow } from '../../src/journal/rows.ts';
import { messageOf } from '../../src/model/error.ts';
import type { Json } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type {
  HoldRunInput,
  OpenRunInput,
  OperationCall,
  SettleRunInput,
} from '../../src/model/protocol.ts';
import { parseRunId, type RunId } from '../../src/model/run.ts';
import { lazyConnection } from '../../src/temporal.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';

/** The random part: runs of each flow, how often each is caught closing, events each time at most. */
const RUNS = 8;
const CLOSINGS = Number(process.env.TIDEGATE_TEST_CLOSINGS ?? 4);
const BURST_MAX = { atOnce: 40, afterAnOperation: 40, byVotes: 24, single: 6 } as const;

describe('an event that comes while its run closes', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  /** Ids of the events that were sent, in order, by run. */
  const sent = new Map<RunId, string[]>();
  /** How many of them Temporal has. */
  const taken = new Map<RunId, number>();
  const effects: string[] = [];
  /** Events whose operation fails so that a person is asked. */
  const failing = new Set<string>();
  /** Executions that have asked the journal what is settled, or have settled something. */
  const executions = new Map<RunId, Set<string>>();
  /** Runs that wanted to end and were not allowed to, because of an event: once per time. */
  const wentOn: RunId[] = [];
  /** Runs whose events Temporal refused because they were closing: once per time. */
  const refused: RunId[] = [];
  /** What happens while a run settles, before the journal commits it and after. */
  const beforeCommit = new Map<RunId, (input: SettleRunInput) => Promise<void> | void>();
  const afterCommit = new Map<RunId, (input: SettleRunInput) => Promise<void> | void>();
  /** What happens before the journal is asked to hold a run's events back. */
  const whenFull = new Map<RunId, () => Promise<void>>();
  let engine: TestEngine;
  let connection: Connection;
  let deliver: Deliver;

  before(async function () {
    this.timeout(60_000);
    const settledBefore = new Set<string>();
    const noteExecution = ({ run, workflowRunId }: OpenRunInput | SettleRunInput): void => {
      executions.set(run, (executions.get(run) ?? new Set()).add(workflowRunId));
    };
    const settle = async (input: SettleRunInput): Promise<void> => {
      const settlement = `${input.run} ${input.through}`;
      if (settledBefore.has(settlement)) wentOn.push(input.run);
      settledBefore.add(settlement);
      noteExecution(input);
      await beforeCommit.get(input.run)?.(input);
      await engine.journal.activities['journal.settle'](input);
      await afterCommit.get(input.run)?.(input);
    };
    const open = async (input: OpenRunInput) => {
      noteExecution(input);
      return await engine.journal.activities['journal.open'](input);
    };
    const hold = async (input: HoldRunInput): Promise<void> => {
      await whenFull.get(input.run)?.();
      await engine.journal.activities['journal.hold'](input);
    };
    const act = async ({ input }: OperationCall): Promise<Json> => {
      const { ids } = input as { readonly ids: readonly string[] };
      if (ids.some((id) => failing.has(id))) {
        throw ApplicationFailure.create({ message: 'no', type: 'persistent', nonRetryable: true });
      }
      effects.push(...ids);
      return null;
    };
    const counted: Deliver = async (run, parts, batch) => {
      try {
        await deliver(run, parts, batch);
      } catch (error) {
        if (messageOf((error as Error).cause).includes('workflow is closing')) refused.push(run);
        throw error;
      }
      taken.set(run, batch.at(-1)?.number ?? 0);
    };
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/closing-race-flows.ts', import.meta.url)),
      operations: {
        'probe.act': act,
        // The journal's own, with events sent in the middle of them.
        'journal.settle': settle as never,
        'journal.open': open as never,
        'journal.hold': hold as never,
      },
      faulty: () => counted,
    });
    // As the ingress calls Temporal: the connection of the tests would try again for seconds.
    connection = lazyConnection({
      namespace: 'default',
      connection: { address: engine.env.address },
    });
    deliver = temporalDeliver(new Client({ connection }), { summaryOf: () => undefined });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
    await connection.close();
  });

  const idsOf = (run: RunId): readonly string[] => sent.get(run) ?? [];

  /** Sends so many events of a run, one after the other. */
  async function send(run: RunId, count = 1, text = ''): Promise<void> {
    const { flow, key } = parseRunId(run) ?? { flow: '', key: '' };
    for (let n = 0; n < count; n += 1) {
      const ids = sent.get(run) ?? [];
      const id = `${run}/${ids.length + 1}`;
      sent.set(run, [...ids, id]);
      await engine.send(flow, key, testEvent({ id, data: { n, text } }));
    }
  }

  /** Sends one, and waits until Temporal has it. */
  async function sendThrough(run: RunId, text = ''): Promise<void> {
    await send(run, 1, text);
    const number = idsOf(run).length;
    await until(`Temporal to have event ${number} of ${run}`, () => taken.get(run) === number);
  }

  const decide = (run: RunId, action: 'flush' | 'skip') =>
    engine.client.workflow
      .getHandle(run)
      .executeUpdate('decide', { args: [{ action, reason: 'because', actor: 'tester' }] });

  async function deliveriesById(): Promise<ReadonlyMap<string, readonly DeliveryRow[]>> {
    const byId = new Map<string, readonly DeliveryRow[]>();
    let after: string | undefined;
    do {
      const page = { limit: 500, ...(after === undefined ? {} : { after }) };
      const { rows, next } = await engine.journal.listEvents({}, page);
      for (const { event, deliveries } of rows) byId.set(event.id, deliveries);
      after = next;
    } while (after !== undefined);
    return byId;
  }

  /**
   * Every event in exactly one window, in order, none lost, none twice: numbers have no gaps, and a
   * settlement has returned the ids of just the events whose numbers it covers.
   */
  async function windowsOf(...runs: readonly RunId[]): Promise<readonly SettlementRow[]> {
    for (const run of runs) await engine.settled(run, idsOf(run).length);
    const deliveries = await deliveriesById();
    return runs.flatMap((run) => {
      const ids = idsOf(run);
      const windows = new Map<number, SettlementRow>();
      for (const [index, id] of ids.entries()) {
        const [delivery, ...others] = deliveries.get(id) ?? [];
        assert.deepEqual([delivery?.run, others], [run, []], `deliveries of ${id}`);
        assert.equal(delivery?.number, index + 1, `the number of ${id}`);
        assert.ok(delivery.settlement !== undefined, `${id} has no outcome`);
        windows.set(delivery.settlement.fromNumber, delivery.settlement);
      }
      for (const { fromNumber, throughNumber, outcome, result } of windows.values()) {
        assert.equal(outcome, 'completed');
        assert.deepEqual(result, ids.slice(fromNumber - 1, throughNumber), `a window of ${run}`);
      }
      return [...windows.values()];
    });
  }

  const ranges = (windows: readonly SettlementRow[]) =>
    windows.map(({ fromNumber, throughNumber }) => [fromNumber, throughNumber]);

  for (const [moment, hooks] of [
    ['before', beforeCommit],
    ['after', afterCommit],
  ] as const) {
    it(`opens the next window when it comes ${moment} the commit of the settlement`, async () => {
      const run = engine.run('atOnce', `exact-${moment}`);
      hooks.set(run, async () => {
        hooks.delete(run);
        await sendThrough(run);
      });
      await send(run);
      await until('the second event', () => idsOf(run).length === 2);
      assert.deepEqual(ranges(await windowsOf(run)), [
        [1, 1],
        [2, 2],
      ]);
      assert.deepEqual([executions.get(run)?.size, wentOn.includes(run)], [1, true]);
    });
  }

  it('waits while Temporal refuses it because the workflow is closing', async () => {
    const run = engine.run('atOnce', 'exact-closing');
    const tooLarge = 'x'.repeat(LIMITS.inboxBytesMax);
    afterCommit.set(run, async () => {
      afterCommit.delete(run);
      await sendThrough(run, tooLarge);
    });
    // The workflow task that could not end the run for that event is done again. It asks the journal
    // to hold further events back, and until it is over Temporal takes none.
    whenFull.set(run, async () => {
      whenFull.delete(run);
      await send(run);
      await until('the refusal', () => refused.includes(run));
    });
    await send(run);
    await until('the third event', () => idsOf(run).length === 3);
    assert.deepEqual(ranges(await windowsOf(run)).at(0), [1, 1]);
  });

  it('begins a new execution when it comes after the end', async () => {
    const run = engine.run('atOnce', 'exact-ended');
    await send(run);
    await engine.settled(run, 1);
    await engine.client.workflow.getHandle(run).result();
    await send(run);
    assert.deepEqual(ranges(await windowsOf(run)), [
      [1, 1],
      [2, 2],
    ]);
    assert.equal(executions.get(run)?.size, 2);
  });

  it('does not change the outcome of what it came after, however late that is settled', async () => {
    const run = engine.run('byVotes', 'exact-late');
    beforeCommit.set(run, async ({ window }) => {
      beforeCommit.delete(run);
      // Done again after this, the votes would come too late.
      await sleep((window?.firstAt ?? 0) + 1_000 - Date.now());
      await sendThrough(run);
    });
    await send(run, 3);
    await until('the fourth event', () => idsOf(run).length === 4);
    await windowsOf(run);
  });

  // Temporal drops an update whose workflow task fails, as one does that would end the run now.
  it('is not drawn into a window that a person has closed', async () => {
    const run = engine.run('flushed', 'exact-flushed');
    afterCommit.set(run, async () => {
      afterCommit.delete(run);
      await sendThrough(run);
    });
    await sendThrough(run);
    await decide(run, 'flush');
    await until('the next window', () => taken.get(run) === 2);
    await until('a flush of it', () =>
      decide(run, 'flush').then(
        () => true,
        () => false,
      ),
    );
    assert.deepEqual(ranges(await windowsOf(run)), [
      [1, 1],
      [2, 2],
    ]);
  });

  it('does not take back what a person has decided', async () => {
    const run = engine.run('single', 'exact-decided');
    failing.add(`${run}/1`);
    afterCommit.set(run, async () => {
      afterCommit.delete(run);
      await sendThrough(run);
    });
    await send(run);
    await until('the park', async () => (await engine.row(run))?.status === 'parked');
    await decide(run, 'skip');
    await until('the second event', () => idsOf(run).length === 2);
    assert.deepEqual(ranges(await windowsOf(run)), [
      [1, 1],
      [2, 2],
    ]);
    assert.deepEqual((await engine.journal.listDeadLetters({})).rows, []);
  });

  it(`is in exactly one window, whenever it comes (seed ${seed})`, async function () {
    this.timeout(60_000 + CLOSINGS * 5_000);
    const before = { wentOn: wentOn.length, refused: refused.length };
    const bursts = Object.entries(BURST_MAX).flatMap(([flow, burstMax]) =>
      Array.from({ length: RUNS }, (_, n) => ({ run: engine.run(flow, `run-${n}`), burstMax })),
    );
    const runs = bursts.map(({ run }) => run);
    await Promise.all(bursts.map(({ run, burstMax }) => catchClosing(run, burstMax)));
    const windows = await windowsOf(...runs);

    const expected = runs.filter((run) => /^(afterAnOperation|single):/.test(run)).flatMap(idsOf);
    const done = effects.filter((id) => id.includes(':run-'));
    assert.deepEqual(done.sort(), expected.sort(), 'each event has had its effect once');
    const began = runs.reduce((sum, run) => sum + (executions.get(run)?.size ?? 0), 0);
    console.log(
      `      ${runs.flatMap(idsOf).length} events, ${windows.length} windows, ${began} executions; ` +
        `${wentOn.length - before.wentOn} went on instead of ending, ` +
        `${refused.length - before.refused} deliveries refused while closing`,
    );
    // By construction: one event of each run came from inside a settlement, one after its end.
    assert.ok(wentOn.length - before.wentOn >= runs.length);
    assert.ok(began >= 2 * runs.length);
  });

  /**
   * Sends each burst at about the moment in which what was sent before has just been settled, and one
   * event after the end.
   */
  async function catchClosing(run: RunId, burstMax: number): Promise<void> {
    let onSettled = (): void => {};
    afterCommit.set(run, ({ through }) => {
      if (through >= idsOf(run).length) onSettled();
    });
    beforeCommit.set(run, async ({ through }) => {
      if (through < idsOf(run).length) return;
      beforeCommit.delete(run);
      await sendThrough(run);
    });
    for (let closing = 0; closing < CLOSINGS; closing += 1) {
      const settled = new Promise<void>((resolve) => {
        onSettled = resolve;
      });
      await send(run, 1 + Math.floor(random() * burstMax));
      await settled;
      await sleep(random() * 20);
    }
    await engine.client.workflow.getHandle(run).result();
    await send(run);
  }
});
