import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { RunRow } from '../../src/journal/rows.ts';
import { RUN_QUERY, type RunView } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';
import { lockTable } from './lock-table.ts';
import { type Answer, type Receiver, startReceiver } from './receiver.ts';
import { type System, startSystem } from './system.ts';

const ACTS = ['/reserve', '/charge', '/ship'] as const;
const UNDO_OF: Readonly<Record<string, string>> = {
  '/reserve': '/release',
  '/charge': '/refund',
  '/ship': '/recall',
};
const VOTERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
const NEED = 4;

/** How many more kills at random moments, each followed by a worker that goes on. */
const KILLS = Number(process.env.TIDEGATE_TEST_KILLS ?? 1);
const ORDERS_PER_KILL = 10;

/** Temporal suggests continue-as-new after so few events, so that a quorum does it between votes. */
const GROWN_EARLY = ['--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=30'];

interface Vote {
  readonly voter: string;
  readonly vote: 'yes' | 'no' | 'veto';
}

/** A promise that is kept from outside. */
function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a worker that is killed in the middle of sagas and quorums', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  // Apart, so that a seed sends the same whenever the kills come.
  const moment = seededRandom(seed + 1);
  /** The answers to the next calls for an order, by order and path; then all is done at once. */
  const answers = new Map<string, Answer[]>();
  /** Calls that have come, by order and path. */
  const calls = new Map<string, number>();
  const orders: string[] = [];
  const ballots = new Map<string, Vote[]>();
  let receiver: Receiver;
  let system: System;
  let connection: Connection;
  let client: Client;

  before(async function () {
    this.timeout(120_000);
    receiver = await startReceiver(({ path, body }) => {
      const call = `${(body as { readonly order?: string }).order} ${path}`;
      calls.set(call, (calls.get(call) ?? 0) + 1);
      return answers.get(call)?.shift() ?? {};
    });
    system = await startSystem({
      project: 'coordination',
      receiverUrl: receiver.url,
      temporalArgs: GROWN_EARLY,
    });
    connection = await Connection.connect({ address: system.temporalAddress });
    client = new Client({ connection });
  });
  after(async function () {
    this.timeout(60_000);
    await connection.close();
    await system.stop();
    await receiver.stop();
  });

  const runOf = (flow: string, key: string): RunId => makeRunId({ flow, tenant: 'default', key });

  async function place(order: string, how: Readonly<Record<string, readonly Answer[]>> = {}) {
    orders.push(order);
    for (const [path, told] of Object.entries(how)) answers.set(`${order} ${path}`, [...told]);
    await system.send('order.placed', order, { order });
  }
  const called = (order: string, path: string, times = 1) =>
    until(`${path} of ${order}`, () => (calls.get(`${order} ${path}`) ?? 0) >= times, 40_000);
  /** The run of an unkeyed flow is found through its event. */
  async function rowOf(order: string): Promise<RunRow | undefined> {
    const [row] = await system.journal.findEvents('default', order);
    const run = row?.deliveries[0]?.run;
    return run === undefined ? undefined : await system.journal.findRun(run);
  }
  const parkOf = (order: string) =>
    until(
      `${order} parked`,
      async () => {
        const row = await rowOf(order);
        return row?.status === 'parked' ? row : undefined;
      },
      40_000,
    );

  async function vote(ballot: string, cast: Vote): Promise<void> {
    const votes = ballots.get(ballot) ?? [];
    ballots.set(ballot, [...votes, cast]);
    await system.send('vote.cast', `${ballot}/${votes.length + 1}`, { ballot, ...cast });
  }
  async function voteAtRandom(names: readonly string[], times: number): Promise<void> {
    for (let n = 0; n < times; n += 1) {
      for (const name of names) await vote(name, randomVote());
      await sleep(random() * 120);
    }
  }
  /** One voter who cannot decide, until the quorum has continued as new with these votes in it. */
  async function wavering(ballot: string): Promise<void> {
    const query = `WorkflowId = '${runOf('ballot', ballot)}' and ExecutionStatus = 'ContinuedAsNew'`;
    let isYes = false;
    const isContinued = async (): Promise<boolean> => {
      isYes = !isYes;
      await vote(ballot, { voter: 'a', vote: isYes ? 'yes' : 'no' });
      await sleep(250);
      return (await client.workflow.count(query)).count > 0;
    };
    await until(`${ballot} to continue as new`, isContinued, 40_000);
  }
  function randomVote(): Vote {
    const voter = VOTERS[Math.floor(random() * VOTERS.length)] ?? 'a';
    const luck = random();
    return { voter, vote: luck < 0.02 ? 'veto' : luck < 0.55 ? 'yes' : 'no' };
  }

  /** Closes the rounds in which too few have voted, and waits until all is settled. */
  async function untilAllIsSettled(): Promise<void> {
    const flushAll = async (): Promise<boolean> => {
      const open = await system.unsettled();
      for (const { run, flow, acceptedThrough } of open) {
        if (flow === 'ballot') await flushWhenAllIsSeen(run, acceptedThrough);
      }
      return open.length === 0;
    };
    await until('everything to be settled', flushAll, 60_000).catch(async (error: Error) => {
      const open = JSON.stringify(await system.unsettled());
      throw new Error(`${error.message}; open: ${open}\n${system.output()}`);
    });
  }
  async function flushWhenAllIsSeen(run: RunId, accepted: number): Promise<void> {
    const handle = client.workflow.getHandle(run);
    const view = await handle.query<RunView>(RUN_QUERY).catch(() => undefined);
    if (view?.stage !== 'waiting' || view.seenThrough < accepted || view.inboxCount > 0) return;
    await handle
      .executeUpdate('decide', { args: [{ action: 'flush', reason: 'the end', actor: 'tester' }] })
      .catch(() => undefined);
  }

  /** The rounds of a ballot, counted by hand: a voter's last vote of a round stands. */
  function rounds(ballot: string): readonly object[] {
    const counted: object[] = [];
    let votes: Vote[] = [];
    for (const cast of ballots.get(ballot) ?? []) {
      votes = [...votes.filter(({ voter }) => voter !== cast.voter), cast];
      const closedBy = closedByVotes(votes);
      if (closedBy === undefined) continue;
      counted.push(round(ballot, closedBy, votes));
      votes = [];
    }
    return votes.length === 0 ? counted : [...counted, round(ballot, 'flushed', votes)];
  }
  function closedByVotes(votes: readonly Vote[]): string | undefined {
    const count = (wanted: Vote['vote']) => votes.filter(({ vote }) => vote === wanted).length;
    if (count('veto') > 0) return 'veto';
    if (count('yes') >= NEED) return 'need';
    return count('no') > VOTERS.length - NEED ? 'no' : undefined;
  }
  const round = (ballot: string, closedBy: string, votes: readonly Vote[]) => ({
    ballot,
    closedBy,
    votes: votes.map(({ voter, vote }) => `${voter}: ${vote}`),
  });

  /** What has happened outside, and that each of it happened once. */
  async function checkEffects(): Promise<void> {
    assert.deepEqual(receiver.conflicts(), [], 'an idempotency key was used for two effects');
    const effects = [...receiver.effects().values()];
    for (const order of orders) {
      const paths = effects
        .filter(({ body }) => (body as { readonly order?: string }).order === order)
        .map(({ path }) => path);
      const row = await rowOf(order);
      const [settlement] = row?.settlements ?? [];
      const done = ACTS.filter((act) => paths.includes(act));
      // Also what was refused is undone: nobody can know whether it was done all the same.
      const begun = ACTS.filter((act) => calls.has(`${order} ${act}`));
      const undone = begun.map((act) => UNDO_OF[act]).reverse();
      const { outcome, result } = settlement ?? {};
      if (outcome === 'completed' && result === 'done') {
        assert.deepEqual(paths, ACTS, `${order}: all done, once each, and nothing undone`);
        continue;
      }
      if (order === 'cancelled') assert.equal(outcome, 'cancelled');
      else assert.deepEqual([outcome, result], ['completed', 'undone'], order);
      assert.deepEqual(paths, [...done, ...undone], `${order}: undone newest first, once each`);
    }
    for (const ballot of ballots.keys()) {
      const counted = effects
        .filter(
          ({ path, body }) => path === '/counted' && (body as { ballot: string }).ballot === ballot,
        )
        .map(({ body }) => body);
      assert.deepEqual(counted, rounds(ballot), `the rounds of ${ballot}`);
    }
    assert.deepEqual((await system.journal.listDeadLetters({})).rows, []);
  }

  it(`leaves each saga at every step boundary all done or all undone, and each quorum as it was voted (seed ${seed})`, async function () {
    this.timeout(150_000);
    const never = gate();
    const between = gate();
    const held: Answer = { after: never.opened };
    const refused: Answer = { status: 422 };

    for (const act of ACTS) await place(`during${act}`, { [act]: [held] });
    await place('during/recall', { '/ship': [refused], '/recall': [held] });
    await place('during/refund', { '/ship': [refused], '/refund': [held] });
    await place('during/release', { '/ship': [refused], '/release': [held] });
    await place('refused-after', { '/ship': [held, refused] });
    await place('cancelled', { '/charge': [held] });
    await place('parked', { '/ship': [refused], '/refund': [{ status: 403 }] });
    await place('between-acts', { '/reserve': [{ after: between.opened }] });
    await place('between-undos', { '/ship': [refused], '/refund': [{ after: between.opened }] });
    await voteAtRandom(['one', 'two', 'three'], 8);
    await vote('decided-while-dead', { voter: 'a', vote: 'yes' });
    await vote('decided-while-dead', { voter: 'b', vote: 'yes' });
    await vote('decided-while-dead', { voter: 'a', vote: 'no' });
    await wavering('wavering');

    for (const act of ACTS) await called(`during${act}`, act);
    for (const undo of ['/recall', '/refund', '/release']) await called(`during${undo}`, undo);
    await called('refused-after', '/ship');
    await called('cancelled', '/charge');
    await called('between-acts', '/reserve');
    await called('between-undos', '/refund');
    const parked = await parkOf('parked');
    assert.match(parked.park?.step ?? '', /undo charge/);

    // Between two steps a saga writes its record: the worker dies while it cannot.
    const lock = await lockTable(system.databaseUrl, 'step_records');
    between.open();
    await lock.waited(2);
    await system.processes.worker.kill();
    await lock.release();

    const cancelled = await rowOf('cancelled');
    await client.workflow.getHandle(cancelled?.run ?? '').cancel();
    await voteAtRandom(['one', 'two', 'three', 'wavering'], 6);
    for (const voter of ['c', 'd', 'e']) await vote('decided-while-dead', { voter, vote: 'yes' });

    system.processes.worker.start();
    await voteAtRandom(['one', 'two', 'three', 'wavering'], 4);
    const decision = { action: 'retry', reason: 'mended', actor: 'tester' };
    await client.workflow.getHandle(parked.run).executeUpdate('decide', { args: [decision] });
    await untilAllIsSettled();
    never.open();
    await checkEffects();

    const refusedAfter = await rowOf('refused-after');
    assert.equal(
      refusedAfter?.settlements[0]?.result,
      'undone',
      'done before the kill all the same',
    );
  });

  it(`does so when it is killed at any moment (seed ${seed}, ${KILLS} kills)`, async function () {
    this.timeout(60_000 + KILLS * 60_000);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const names = [`kill-${kill}/x`, `kill-${kill}/y`];
      const sending = (async () => {
        for (let n = 0; n < ORDERS_PER_KILL; n += 1) {
          const luck = Math.floor(random() * (ACTS.length * 2));
          const failing = ACTS[luck];
          await place(
            `kill-${kill}/order-${n}`,
            failing === undefined ? {} : { [failing]: [{ status: 422 }] },
          );
          await voteAtRandom(names, 2);
        }
      })();
      await sleep(200 + moment() * 1_500);
      await system.processes.worker.kill();
      await sleep(moment() * 500);
      system.processes.worker.start();
      await sending;
    }
    await untilAllIsSettled();
    await checkEffects();
  });
});
