import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import {
  ALL_RUNS,
  type AppendEntry,
  type LimitKeys,
  type RoutedDelivery,
} from '../../src/journal/deliveries.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { FlowLimits } from '../../src/model/flow-registry.ts';
import type { RunId } from '../../src/model/run.ts';
import { execute } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { onBothDatabases, sharedPostgres } from './both-databases.ts';
import { ALL_LANES, event, oneTo, target, unique } from './entries.ts';

const HOLDER = 'the dispatcher';
const PER_MS = 1_000;
/** Long enough that no test sees its end. */
const LONG_MS = 3_600_000;

const byAll: LimitKeys = { concurrency: ALL_RUNS };
const concurrency = (limit: number): FlowLimits => ({ concurrency: { limit } });
const throttle = (limit: number, perMs: number): FlowLimits => ({ throttle: { limit, perMs } });

const entry = (delivery: RoutedDelivery, tenantid = 'acme'): AppendEntry => ({
  event: event({ tenantid }),
  status: 'accepted',
  deliveries: [delivery],
});

/** Runs of one flow, which no other test uses. */
function flowOf(journal: Journal, limits: FlowLimits) {
  const flow = unique('limited');
  const of = (key: string) => target(flow, key).run;
  const append = (keys: readonly string[], limitKeys: LimitKeys = byAll) =>
    journal.append(keys.map((key) => entry({ ...target(flow, key), limitKeys })));
  const admitted = async (rule: FlowLimits = limits) => {
    const given = await journal.admit(new Map([[flow, rule]]));
    return given.admitted.flatMap((run) => (run.flow === flow ? [run.key] : []));
  };
  const sent = (keys: readonly string[]) =>
    journal.markSent(
      HOLDER,
      keys.map((key) => ({ run: of(key), through: 1 })),
    );
  const settle = (key: string, through = 1) =>
    journal.activities['journal.settle']({
      run: of(key),
      workflowRunId: 'execution',
      through,
      outcome: 'completed',
    });
  const pending = async () =>
    (await journal.pendingRuns(ALL_LANES, 10_000)).flatMap((run) =>
      run.flow === flow ? [run.key] : [],
    );
  const row = async (key: string) => (await journal.findRun(of(key))) ?? assert.fail();
  const hasBegun = async (): Promise<number> => {
    const { rows } = await journal.listRuns({ flow }, { limit: 500 });
    return rows.filter((run) => run.status !== 'settled' && run.waitsForSlot === undefined).length;
  };
  return { flow, of, append, admitted, sent, settle, pending, row, hasBegun };
}

onBothDatabases('runs that wait for a slot', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
    await journal.leaseLanes(HOLDER, 600_000);
  });
  after(() => journal.releaseLanes(HOLDER));

  it('are not to be sent before they have one, and say so', async () => {
    const { append, admitted, pending, row, of } = flowOf(journal, concurrency(1));
    const results = await append(['a']);
    assert.equal(results[0]?.deliveries[0]?.waits, true);
    assert.deepEqual(await pending(), []);
    assert.deepEqual(await journal.deliveriesAfter(of('a'), 0, { count: 10, bytes: 10_000 }), []);
    const { waitsForSlot, status } = await row('a');
    assert.equal(status, 'open');
    assert.equal(waitsForSlot?.concurrency, ALL_RUNS);
    assert.equal(waitsForSlot?.throttle, undefined);
    assert.ok(Date.parse(waitsForSlot?.since ?? '') > 0);

    assert.deepEqual(await admitted(), ['a']);
    assert.deepEqual(await pending(), ['a']);
    assert.equal((await row('a')).waitsForSlot, undefined);
    assert.equal((await journal.deliveriesAfter(of('a'), 0, { count: 1, bytes: 1 })).length, 1);
  });

  it('get it in the order in which they were opened, also those of one commit', async () => {
    const { append, admitted, settle } = flowOf(journal, concurrency(2));
    // Neither the order of their ids nor that of their runs.
    await append(['m', 'z', 'a']);
    await append(['k']);
    assert.deepEqual(await admitted(), ['m', 'z']);
    assert.deepEqual(await admitted(), []);
    await settle('z');
    assert.deepEqual(await admitted(), ['a']);
    await settle('a');
    await settle('m');
    assert.deepEqual(await admitted(), ['k']);
  });

  it('keep it until everything of them is settled, and need no other for further events', async () => {
    const { append, admitted, settle, row, pending } = flowOf(journal, concurrency(1));
    await append(['a', 'b']);
    assert.deepEqual(await admitted(), ['a']);
    const [more] = await append(['a']);
    assert.equal(more?.deliveries[0]?.waits, undefined);
    await settle('a', 1);
    assert.deepEqual(await admitted(), [], 'its second event is still to be settled');
    assert.deepEqual(await pending(), ['a']);
    await settle('a', 2);
    assert.deepEqual(await admitted(), ['b']);

    // Its next event opens it anew, at the end of the queue.
    await append(['c', 'a']);
    assert.ok((await row('a')).waitsForSlot);
    await settle('b');
    assert.deepEqual(await admitted(), ['c']);
  });

  it('give it back when they are lost, and not while they have more to do', async () => {
    const { append, admitted, of } = flowOf(journal, concurrency(1));
    await append(['a', 'b']);
    assert.deepEqual(await admitted(), ['a']);
    await append(['a']);
    await journal.settleLost(of('a'), 1, 'terminated');
    assert.deepEqual(await admitted(), []);
    await journal.settleLost(of('a'), 2, 'terminated');
    assert.deepEqual(await admitted(), ['b']);
  });

  it('share a limit only with runs of the same key, flow and tenant', async () => {
    const { flow, append, admitted } = flowOf(journal, concurrency(1));
    await append(['a1', 'a2', 'a3'], { concurrency: 'a' });
    await append(['b1', 'b2'], { concurrency: 'b' });
    const elsewhere = { ...target(flow, 'x1', 'elsewhere'), limitKeys: { concurrency: 'a' } };
    await journal.append([entry(elsewhere, 'elsewhere')]);
    assert.deepEqual((await admitted()).toSorted(), ['a1', 'b1', 'x1']);
  });

  it('are not held back by an older one that waits for a limit that they do not share', async () => {
    const { append, admitted, settle } = flowOf(journal, {
      ...concurrency(1),
      ...throttle(1, LONG_MS),
    });
    const of = (customer: string): LimitKeys => ({ concurrency: ALL_RUNS, throttle: customer });
    await append(['a1', 'a2', 'a3'], of('a'));
    await append(['b1'], of('b'));
    assert.deepEqual(await admitted(), ['a1']);
    await settle('a1');
    // The slot is free, and a2 may not begin within the hour.
    assert.deepEqual(await admitted(), ['b1']);
  });

  it('of a throttle begin when its time has come, not before', async () => {
    const { append, admitted, sent, settle } = flowOf(journal, throttle(2, PER_MS));
    await append(['a', 'b', 'c', 'd', 'e'], { throttle: ALL_RUNS });
    assert.deepEqual(await admitted(), ['a', 'b']);
    const sentAt = Date.now();
    await sent(['a', 'b']);
    // That they are settled changes nothing: they have begun.
    await settle('a');
    assert.deepEqual(await admitted(), []);
    const next = await until('the next two', async () => {
      const keys = await admitted();
      return keys.length > 0 && keys;
    });
    assert.ok(Date.now() - sentAt >= PER_MS);
    assert.deepEqual(next, ['c', 'd']);
  });

  it('begin, for a throttle, when they have been sent, however long that takes', async () => {
    const { append, admitted, sent } = flowOf(journal, throttle(1, PER_MS));
    await append(['a', 'b'], { throttle: ALL_RUNS });
    assert.deepEqual(await admitted(), ['a']);
    // Temporal is away for longer than the throttle's time.
    const end = Date.now() + PER_MS * 1.5;
    await until('the outage to be over', async () => {
      assert.deepEqual(await admitted(), []);
      return Date.now() > end;
    });
    const sentAt = Date.now();
    await sent(['a']);
    await until('the next one', async () => (await admitted()).includes('b'));
    assert.ok(Date.now() - sentAt >= PER_MS);
  });

  it('have not begun because of a late note that the run before was sent', async () => {
    const { append, admitted, sent, settle } = flowOf(journal, throttle(1, PER_MS));
    const byTime: LimitKeys = { throttle: ALL_RUNS };
    await append(['a'], byTime);
    assert.deepEqual(await admitted(), ['a']);
    await settle('a');
    await append(['a', 'b'], byTime);
    await until('its second run', async () => (await admitted()).includes('a'));
    await sent(['a']);
    const end = Date.now() + PER_MS * 1.5;
    await until('the time of a throttle to pass', async () => {
      assert.deepEqual(await admitted(), []);
      return Date.now() > end;
    });
  });

  it('say when the next one may begin', async () => {
    const { flow, append, admitted, sent } = flowOf(journal, throttle(1, LONG_MS));
    await append(['a', 'b'], { throttle: ALL_RUNS });
    await admitted();
    await sent(['a']);
    const { nextInMs = 0 } = await journal.admit(new Map([[flow, throttle(1, LONG_MS)]]));
    assert.ok(nextInMs <= LONG_MS);
    // A look at them is not put off because one of them began.
    assert.deepEqual(await admitted(), []);
  });

  it('go by the limits that hold now', async () => {
    const { append, admitted } = flowOf(journal, concurrency(1));
    await append(['a', 'b', 'c', 'd']);
    assert.deepEqual(await admitted(), ['a']);
    assert.deepEqual(await admitted(concurrency(2)), [], 'nothing has happened to look at');
    await journal.reviewWaiting();
    assert.deepEqual(await admitted(concurrency(2)), ['b']);
    await journal.reviewWaiting();
    assert.deepEqual(await admitted(concurrency(1)), [], 'lowered below what is open');
    await journal.reviewWaiting();
    // The limit is gone.
    assert.deepEqual(await admitted({}), ['c', 'd']);
  });

  it('are all let begin, however many there are', async () => {
    const { append, admitted } = flowOf(journal, concurrency(1_000));
    const keys = oneTo(500).map((nth) => `run-${nth}`);
    await append(keys);
    const begun: string[] = [];
    await until('all of them', async () => {
      begun.push(...(await admitted()));
      return begun.length === keys.length;
    });
    assert.deepEqual(begun, keys);
  });

  it('are as many as the limit whatever happens, and none waits while there is a slot', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('open'),
        run: fc.nat(9),
        by: fc.constantFrom('a', 'b'),
      } as const),
      fc.record({ kind: fc.constant('send'), share: fc.nat(99) } as const),
      fc.record({ kind: fc.constant('settle'), share: fc.nat(99) } as const),
      fc.record({ kind: fc.constant('lose'), share: fc.nat(99) } as const),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 2 }),
        fc.array(step, { maxLength: 25 }),
        async (limit, steps) => {
          const { append, admitted, row, of, settle } = flowOf(journal, concurrency(limit));
          /** By run: what it shares, its last number, and whether it has its slot. */
          const open = new Map<string, { by: string; through: number; begun: boolean }>();
          const through = new Map<string, number>();
          const chosen = (share: number) => {
            const begun = [...open].filter(([, run]) => run.begun);
            return begun[Math.floor((begun.length * share) / 100)];
          };
          const look = async (): Promise<void> => {
            const waiting = [...open].filter(([, run]) => !run.begun);
            const expected = ['a', 'b'].flatMap((by) => {
              const taken = [...open.values()].filter((run) => run.begun && run.by === by).length;
              const inLine = waiting.filter(([, run]) => run.by === by);
              return inLine.slice(0, Math.max(0, limit - taken)).map(([key]) => key);
            });
            const got = await admitted();
            assert.deepEqual(got.toSorted(), expected.toSorted());
            for (const key of got)
              open.set(key, { ...(open.get(key) ?? assert.fail()), begun: true });
          };
          for (const next of steps) {
            switch (next.kind) {
              case 'open': {
                const key = `run-${next.run}`;
                await append([key], { concurrency: next.by });
                const number = (through.get(key) ?? 0) + 1;
                through.set(key, number);
                // What an open run waits under is what opened it.
                const known = open.get(key) ?? { by: next.by, begun: false };
                open.set(key, { ...known, through: number });
                break;
              }
              case 'send': {
                const [key, run] = chosen(next.share) ?? [];
                if (key && run)
                  await journal.markSent(HOLDER, [{ run: of(key), through: run.through }]);
                break;
              }
              case 'settle':
              case 'lose': {
                const [key, run] = chosen(next.share) ?? [];
                if (!key || !run) break;
                if (next.kind === 'settle') await settle(key, run.through);
                else await journal.settleLost(of(key), run.through, 'terminated');
                open.delete(key);
                break;
              }
              default:
                next satisfies never;
            }
            await look();
          }
          while (open.size > 0) {
            for (const [key, run] of [...open].filter(([, { begun }]) => begun)) {
              await settle(key, run.through);
              open.delete(key);
            }
            await look();
          }
          // No slot has leaked: there are as many as at the beginning.
          for (const key of through.keys()) assert.equal((await row(key)).waitsForSlot, undefined);
          const fresh = oneTo(limit).map((nth) => `fresh-${nth}`);
          await append(fresh, { concurrency: 'a' });
          assert.deepEqual(await admitted(), fresh);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('two processes that let runs begin, in PostgreSQL', function () {
  this.timeout(60_000);
  let left: Journal;
  let right: Journal;
  let databaseUrl: string;

  before(async () => {
    databaseUrl = await (await sharedPostgres()).createDatabase();
    left = await openJournal({ databaseUrl });
    right = await openJournal({ databaseUrl });
  });
  after(() => Promise.all([left.close(), right.close()]));

  /** As an administrator would look. */
  const assertNothingLeft = async (flow: string): Promise<void> => {
    const nothingIn = (table: string, where: string) =>
      `assert not exists (select from ${table} where flow = '${flow}' and ${where}), '${table}';`;
    const held = ['concurrency_key', 'throttle_key', 'waits_since', 'begun_at'];
    await execute(
      databaseUrl,
      `do $$ begin
        ${nothingIn('runs', `num_nonnulls(${held.join(', ')}) > 0`)}
        ${nothingIn('slot_checks', 'true')}
        ${nothingIn('throttle_begins', 'true')}
      end $$`,
    );
  };

  it('leave nothing behind once everything is settled and the time of the throttle is over', async () => {
    const rule = { ...concurrency(2), ...throttle(2, PER_MS) };
    const { flow, append, admitted, sent, settle } = flowOf(left, rule);
    const keys = oneTo(5).map((nth) => `run-${nth}`);
    await append(keys, { ...byAll, throttle: ALL_RUNS });
    await assert.rejects(assertNothingLeft(flow));
    const settled: string[] = [];
    await until('all to have begun', async () => {
      const begun = await admitted();
      await sent(begun);
      for (const key of begun) await settle(key);
      settled.push(...begun);
      return settled.length === keys.length;
    });
    await sleep(PER_MS);
    // The settlements left something to look at.
    await admitted();
    await assertNothingLeft(flow);
  });

  it('never go over the limit, when runs open and are asked for at the same moment', async () => {
    const limit = 3;
    // Each of them looks at runs of its own, which share the slots with the others.
    const rule = { ...concurrency(limit), ...throttle(1_000, LONG_MS) };
    for (let round = 0; round < 8; round += 1) {
      const { flow, of } = flowOf(left, rule);
      const limits = new Map([[flow, rule]]);
      const begun: RunId[] = [];
      const openAndAsk = async (journal: Journal, name: string): Promise<void> => {
        for (const nth of oneTo(5)) {
          const key = `${name}-${nth}`;
          const limitKeys = { ...byAll, throttle: name };
          await journal.append([entry({ flow, key, run: of(key), limitKeys })]);
          const { admitted } = await journal.admit(limits);
          begun.push(...admitted.map(({ run }) => run));
        }
      };
      await Promise.all([
        openAndAsk(left, 'left'),
        openAndAsk(right, 'right'),
        openAndAsk(left, 'also left'),
        openAndAsk(right, 'also right'),
      ]);
      assert.equal(begun.length, limit);
    }
  });

  it('never go over the limit while runs come and go, and leave no slot unused', async () => {
    const limit = 3;
    const of = flowOf(left, concurrency(limit));
    const limits = new Map([[of.flow, concurrency(limit)]]);
    const keys = oneTo(60).map((nth) => `run-${nth}`);
    const begun: RunId[] = [];
    let most = 0;
    let isOver = false;
    const letBegin = async (journal: Journal): Promise<void> => {
      while (!isOver) {
        const { admitted } = await journal.admit(limits);
        begun.push(...admitted.map(({ run }) => run));
      }
    };
    const watch = async (): Promise<void> => {
      while (!isOver) most = Math.max(most, await of.hasBegun());
    };
    const appendAll = async (): Promise<void> => {
      for (const key of keys) await of.append([key]);
    };
    const settleAll = async (): Promise<void> => {
      let settled = 0;
      await until(
        'every run to be settled',
        async () => {
          for (const run of begun.slice(settled)) {
            settled += 1;
            await right.activities['journal.settle']({
              run,
              workflowRunId: 'execution',
              through: 1,
              outcome: 'completed',
            });
          }
          return settled === keys.length;
        },
        40_000,
      );
      isOver = true;
    };
    await Promise.all([
      ...[left, left, right, right].map(letBegin),
      watch(),
      appendAll(),
      settleAll(),
    ]);
    assert.ok(most <= limit, `${most} were open at a time`);
    assert.equal(new Set(begun).size, keys.length);
    assert.equal(begun.length, keys.length, 'none was let begin twice');
    await left.admit(limits);
    await assertNothingLeft(of.flow);
  });
});
