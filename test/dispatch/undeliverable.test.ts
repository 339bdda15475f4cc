import assert from 'node:assert/strict';
import { classifyCallFailure, type Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId, parseRunId, type RunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { seededRandom } from '../support/random.ts';
import { until } from '../support/wait.ts';

/** As gRPC gives it. */
const grpcError = (code: number, details: string): Error =>
  Object.assign(new Error(details), { code, details, metadata: {} });
const REASON = 'Blob data size exceeds limit.';
const RUNS = 24;
const DELIVERIES_MAX = 40;

/** A stand-in for Temporal that refuses every call with a poisonous event in it. */
function refusing() {
  const received = new Map<RunId, number[]>();
  /** How many deliveries were in each call that was refused. */
  const refusals = new Map<RunId, number[]>();
  const deliver: Deliver = async (run, _parts, batch) => {
    if (batch.some(({ event }) => (event.data as { poison: boolean }).poison)) {
      refusals.set(run, [...(refusals.get(run) ?? []), batch.length]);
      throw grpcError(3, REASON);
    }
    received.set(run, [...(received.get(run) ?? []), ...batch.map(({ number }) => number)]);
  };
  return { deliver, received, refusals };
}

describe('what Temporal refuses', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;

  before(async () => {
    journal = await openJournal({});
  });
  afterEach(async () => {
    await dispatcher?.stop();
    dispatcher = undefined;
  });
  after(() => journal.close());

  const start = (deliver: Deliver, holder = 'test'): void => {
    dispatcher = createDispatcher({
      ...{ journal, deliver, holder, logger: silent },
      whenUndeliverable: (flow) => (flow === 'going' ? 'go-on' : undefined),
    });
    dispatcher.start();
  };
  const append = async (flow: string, key: string, poison: readonly boolean[]): Promise<RunId> => {
    const run = makeRunId({ flow, tenant: 'default', key });
    await journal.append(
      poison.map((isPoison, index) => ({
        event: testEvent({ id: `${flow}-${key}-${index + 1}`, data: { poison: isPoison } }),
        status: 'accepted',
        deliveries: [{ flow, key, run }],
      })),
    );
    return run;
  };
  const lettersOf = async (run: RunId) => {
    const { rows } = await journal.listDeadLetters({ limit: 500 }, { kind: 'undeliverable' });
    return rows.flatMap((row) => (row.kind === 'undeliverable' && row.run === run ? [row] : []));
  };

  /**
   * A run that goes on gets all but the poisonous deliveries, in order and once; a held one gets all before the
   * first of them, and nothing after. Each that is set aside is a dead letter of its own event.
   */
  it(`is found among what goes with it, whatever and wherever it is (seed ${seed})`, async function () {
    this.timeout(120_000);
    const temporal = refusing();
    const plans = await Promise.all(
      Array.from({ length: RUNS }, async (_, index) => {
        const count = 1 + Math.floor(random() * DELIVERIES_MAX);
        const poisonous = Math.floor(random() * 3);
        const poison = Array.from({ length: count }, () => false);
        for (let n = 0; n < poisonous; n += 1) poison[Math.floor(random() * count)] = true;
        const flow = index % 2 === 0 ? 'going' : 'held';
        return { run: await append(flow, `key-${index}`, poison), flow, poison };
      }),
    );
    start(temporal.deliver);
    for (const { run, flow, poison } of plans) {
      const numbers = poison.map((_, index) => index + 1);
      const bad = numbers.filter((number) => poison[number - 1]);
      const first = bad[0] ?? Number.POSITIVE_INFINITY;
      const aside = flow === 'going' ? bad : bad.slice(0, 1);
      const good = numbers.filter((number) => !bad.includes(number));
      const expected = flow === 'going' ? good : good.filter((number) => number < first);
      const letters = await until(
        `dead letters of ${run}`,
        async () => {
          const found = await lettersOf(run);
          const isDone = (temporal.received.get(run) ?? []).length === expected.length;
          return found.length === aside.length && isDone && found;
        },
        60_000,
      );
      assert.deepEqual(temporal.received.get(run) ?? [], expected, run);
      assert.deepEqual(
        letters.map(({ number }) => number).sort((a, b) => a - b),
        aside,
        run,
      );
      for (const { number, event, reason, attempts } of letters) {
        const { flow: of, key } = parseRunId(run) ?? assert.fail();
        assert.deepEqual(
          [event.id, reason, attempts],
          [`${of}-${key}-${number}`, REASON, LIMITS.refusedAttemptsMax],
        );
      }
      const refusals = temporal.refusals.get(run) ?? [];
      const alone = refusals.filter((size) => size === 1).length;
      assert.equal(alone, aside.length * LIMITS.refusedAttemptsMax, `calls to ${run}: ${refusals}`);
      const halvings = 2 * Math.ceil(Math.log2(DELIVERIES_MAX));
      assert.ok(refusals.length <= aside.length * halvings + alone, `calls to ${run}: ${refusals}`);
    }
  });

  it('is not tried from the beginning by the next dispatcher', async function () {
    this.timeout(60_000);
    const temporal = refusing();
    const run = await append('held', 'restart', [false, true, false]);
    const alone = () => (temporal.refusals.get(run) ?? []).filter((count) => count === 1).length;
    start(temporal.deliver, 'first');
    await until('two refusals', () => Promise.resolve(alone() >= 2));
    await dispatcher?.stop();
    const before = alone();
    start(temporal.deliver, 'second');
    await until('the dead letter', async () => (await lettersOf(run)).length === 1, 30_000);
    assert.ok(before < LIMITS.refusedAttemptsMax);
    assert.equal(alone(), LIMITS.refusedAttemptsMax);
    assert.deepEqual(temporal.received.get(run), [1]);
  });

  it('does not hold up other runs, and goes on when a person says so', async function () {
    this.timeout(60_000);
    const temporal = refusing();
    let isMended = false;
    const run = await append('held', 'mended', [true, false]);
    start(async (to, parts, batch) => {
      const mended = batch.map(({ number, event }) => ({
        number,
        event: { ...event, data: { poison: false } },
      }));
      await temporal.deliver(to, parts, isMended ? mended : batch);
    });
    const letter = await until('the dead letter', async () => (await lettersOf(run))[0], 30_000);
    const other = await append('held', 'other', [false, false]);
    await until('the other run', async () => (await journal.findRun(other))?.sentThrough === 2);
    isMended = true;
    const act = { actor: 'ada', reason: 'the limit was raised' };
    const number = Number(letter.deadLetter.split('-')[1]);
    await journal.redelivery.retryUndeliverable(number, undefined, act);
    await until('the run to go on', async () => (await journal.findRun(run))?.sentThrough === 2);
    assert.deepEqual(temporal.received.get(run), [1, 2]);
  });

  it('is told from what concerns the run, its place or everything', () => {
    const kinds = [
      grpcError(3, REASON),
      grpcError(8, 'grpc: received message larger than max (5000000 vs. 4194304)'),
      grpcError(3, 'exceeded workflow execution limit for signal events'),
      grpcError(3, 'Namespace default has no mapping defined for search attribute TidegateKey'),
      grpcError(9, 'the namespace is being handed over'),
      grpcError(8, 'workflow operation can not be applied because workflow is closing'),
      grpcError(8, 'namespace rate limit exceeded'),
      grpcError(7, 'request unauthorized'),
      grpcError(14, 'connect ECONNREFUSED'),
      grpcError(4, 'deadline exceeded'),
      new Error('a fault of our own'),
    ].map((error) => classifyCallFailure(error).kind);
    assert.deepEqual(kinds, [
      ...['refused', 'refused', 'blocked', 'blocked', 'blocked'],
      ...['busy', 'busy', 'outage', 'outage', 'outage', 'outage'],
    ]);
  });
});
