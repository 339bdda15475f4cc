import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { execute, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';

const KEYS = 12;

describe('two dispatchers on one PostgreSQL', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const started: Dispatcher[] = [];
  let postgres: TestPostgres;
  let url: string;
  let left: Journal;
  let right: Journal;
  let sent = 0;

  before(async function () {
    this.timeout(60_000);
    postgres = await startPostgres();
    url = await postgres.createDatabase();
    left = await openJournal({ databaseUrl: url });
    right = await openJournal({ databaseUrl: url });
  });
  after(async function () {
    this.timeout(60_000);
    for (const dispatcher of started) await dispatcher.stop();
    await left.close();
    await right.close();
    await postgres.remove();
  });

  /** A stand-in for Temporal. Runs take a number once and in order: what follows a gap is lost to them. */
  const taken = new Map<RunId, number>();
  const gaps: string[] = [];
  const callers = new Map<string, number>();
  const deliverBy =
    (holder: string): Deliver =>
    async (run, _parts, batch) => {
      if (random() < 0.1) throw new Error('connection refused');
      // A call may be slow and arrive after another process has made it.
      await sleep(random() * 80);
      for (const { number } of batch) {
        const through = taken.get(run) ?? 0;
        if (number > through + 1) gaps.push(`${holder}: ${number} of ${run} after ${through}`);
        taken.set(run, Math.max(through, number));
      }
      callers.set(holder, (callers.get(holder) ?? 0) + 1);
      if (random() < 0.1) throw new Error('the answer was lost');
    };
  /** How many lanes each one believes to hold. */
  const held = new Map<string, number>();
  const start = (journal: Journal, holder: string): Dispatcher => {
    const dispatcher = createDispatcher({
      journal,
      logger: silent,
      holder,
      deliver: deliverBy(holder),
      onLanes: (lanes) => held.set(holder, lanes.length),
    });
    dispatcher.start();
    started.push(dispatcher);
    return dispatcher;
  };
  const runOf = (key: string): RunId => makeRunId({ flow: 'flow', tenant: 'default', key });
  /** As an ingress does: committed by its journal, told to its dispatcher. */
  const send = async (journal: Journal, dispatcher: Dispatcher): Promise<void> => {
    sent += 1;
    const event = testEvent({ id: `e${sent}`, data: { n: sent } });
    const key = `key-${Math.floor(random() * KEYS)}`;
    const deliveries = [{ flow: 'flow', key, run: runOf(key) }];
    const [result] = await journal.append([{ event, status: 'accepted', deliveries }]);
    dispatcher.offer((result?.deliveries ?? []).map((target) => ({ target, event })));
  };
  /** As time does when a holder is paused for longer than its lease. */
  const expireLeases = async (holder: string, lanes = 'true') => {
    const expired = "set expires_at = now() - interval '1 second'";
    await execute(url, `update dispatchers ${expired} where holder = '${holder}'`);
    await execute(url, `update lanes ${expired} where holder = '${holder}' and ${lanes}`);
  };
  const lanesOf = (holder: string): number => held.get(holder) ?? 0;
  const callsBy = (holder: string): number => callers.get(holder) ?? 0;

  it(`share the lanes while events come in, and make no gap (seed ${seed})`, async function () {
    this.timeout(90_000);
    const one = start(left, 'one');
    await until('one to have every lane', () => lanesOf('one') === LANES);
    const two = start(right, 'two');
    await until(
      'each to have half',
      async () => {
        await send(left, one);
        await send(right, two);
        return lanesOf('one') === LANES / 2 && lanesOf('two') === LANES / 2;
      },
      30_000,
    );
    await until('both to call', async () => {
      await send(left, one);
      return callsBy('one') > 5 && callsBy('two') > 5;
    });
    await two.stop();
    await until('one to have every lane again', () => lanesOf('one') === LANES, 30_000);
    await until('everything to be sent', async () => (await left.backlog()).runs === 0, 30_000);
    assert.deepEqual(gaps, []);
    await one.stop();
  });

  it(`make no gap and leave nothing unsent, whoever holds the lanes (seed ${seed})`, async function () {
    this.timeout(90_000);
    const first = start(left, 'first');
    await until('the first one to have every lane', () => lanesOf('first') === LANES);
    let second = start(right, 'second');
    /** Sends all the time, to both, until something has happened. */
    const sendingUntil = (what: string, isSo: () => boolean, meanwhile?: () => Promise<void>) =>
      until(what, async () => {
        await meanwhile?.();
        if (random() < 0.5) await send(left, first);
        else await send(right, second);
        return isSo();
      });

    // The first one has lost half of its lanes; until it knows, both call the same runs.
    await sendingUntil(
      'the second one to have lanes',
      () => lanesOf('second') > 0,
      () => expireLeases('first', 'lane % 2 = 0'),
    );
    await sendingUntil('the second one to call', () => callsBy('second') > 5);
    await sendingUntil('the first one to know', () => lanesOf('first') < LANES);
    // It gets some back, and remembers what it had sent when it had them last.
    const lanesLeft = lanesOf('first');
    await sendingUntil(
      'the first one to have more lanes again',
      () => lanesOf('first') > lanesLeft,
      () => expireLeases('second'),
    );
    const beforeReturn = callsBy('first');
    await sendingUntil('the first one to call', () => callsBy('first') > beforeReturn + 5);

    // A rolling restart: another holder on the same journal.
    await second.stop();
    second = start(right, 'third');
    await sendingUntil(
      'the third one to have lanes',
      () => lanesOf('third') > 0,
      () => expireLeases('first', 'lane % 2 = 1'),
    );
    await sendingUntil('the third one to call', () => callsBy('third') > 5);

    // A crash: the first one can no longer note what it has sent, nor give its lanes back.
    await left.close();
    for (let n = 0; n < 20; n += 1) await send(right, second);
    await expireLeases('first');

    await until('everything to be sent', async () => (await right.backlog()).runs === 0, 30_000);
    assert.deepEqual(gaps, []);
    for (let n = 0; n < KEYS; n += 1) {
      const row = await right.findRun(runOf(`key-${n}`));
      assert.ok(row !== undefined);
      assert.equal(row.sentThrough, row.acceptedThrough);
      assert.equal(taken.get(row.run), row.acceptedThrough);
    }
  });
});
