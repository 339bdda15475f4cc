import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId, parseRunId, type RunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const BUSY_TENANTS = ['a', 'b', 'c'];
const RUNS_OF_EACH = 500;
const PLACES = LIMITS.dispatchConcurrencyMax;
/** How many of them one tenant has at most. */
const SHARE = (PLACES * 7) / 8;
/** As gRPC gives it. */
const DEADLINE_EXCEEDED = { code: 4, details: 'deadline exceeded', metadata: {} };

describe('a dispatcher with much to send', () => {
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;
  /** The runs that were called, in the order in which the calls began. */
  let begun: RunId[] = [];
  let count = 0;
  let endHanging = (): void => {};

  beforeEach(async () => {
    journal = await openJournal({});
    begun = [];
  });
  afterEach(async () => {
    endHanging();
    await dispatcher?.stop();
    await journal.close();
  });

  const start = (deliver: Deliver, onWarning: () => void = () => {}): Dispatcher => {
    const logger = createLogger({ level: 'warn', destination: { write: onWarning } });
    dispatcher = createDispatcher({ journal, deliver, logger, holder: 'test' });
    dispatcher.start();
    return dispatcher;
  };
  const append = async (tenant: string, keys: readonly string[]) => {
    const entries = keys.map((key) => {
      count += 1;
      const event = testEvent({ id: `e${count}`, tenantid: tenant, data: {} });
      const run = makeRunId({ flow: 'flow', tenant, key });
      return { event, status: 'accepted' as const, deliveries: [{ flow: 'flow', key, run }] };
    });
    const results = await journal.append(entries);
    return results.flatMap(({ deliveries }, index) =>
      deliveries.map((target) => ({ target, event: entries[index]?.event ?? assert.fail() })),
    );
  };
  const keys = (many: number) => Array.from({ length: many }, (_, index) => `key-${index}`);

  it('sends a single event after at most one call for each tenant with a backlog', async function () {
    this.timeout(60_000);
    for (const tenant of BUSY_TENANTS) await append(tenant, keys(RUNS_OF_EACH));
    const { offer } = start(async (run) => {
      begun.push(run);
      await sleep(5);
    });
    await until('some of the backlog to be sent', () => Promise.resolve(begun.length > 100));
    const single = await append('single', ['one']);
    const before = begun.length;
    assert.ok(before < BUSY_TENANTS.length * RUNS_OF_EACH, 'there is a backlog still');
    offer(single);
    const run = makeRunId({ flow: 'flow', tenant: 'single', key: 'one' });
    await until('the single event to be sent', () => Promise.resolve(begun.includes(run)));
    const waitedFor = begun.slice(before, begun.indexOf(run));
    assert.ok(waitedFor.length <= BUSY_TENANTS.length, `${waitedFor.length} calls: ${waitedFor}`);
  });

  /** Calls of one tenant that end when and as the test says, until it hangs no more; all others succeed. */
  const startHanging = async (options: { readonly onWarning?: () => void } = {}) => {
    const calls: { readonly answer: () => void; readonly timeOut: () => void }[] = [];
    let hangs = true;
    await append('hanging', keys(2 * PLACES));
    const { offer } = start(async (run) => {
      begun.push(run);
      if (!hangs || parseRunId(run)?.tenant !== 'hanging') return;
      await new Promise<void>((resolve, reject) => {
        const timeOut = () => reject(Object.assign(new Error(), DEADLINE_EXCEEDED));
        calls.push({ answer: resolve, timeOut });
      });
    }, options.onWarning);
    await until('its calls to begin', () => Promise.resolve(calls.length >= SHARE));
    endHanging = () => {
      hangs = false;
      for (const { answer } of calls) answer();
    };
    return { calls, offer };
  };
  const sentOf = (tenant: string) => begun.filter((run) => parseRunId(run)?.tenant === tenant);
  const allSentOf = (tenant: string, count: number) =>
    until(`${count} runs of ${tenant} to be sent`, () =>
      Promise.resolve(sentOf(tenant).length >= count),
    );

  it('sends the events of other tenants while every call of one hangs', async function () {
    this.timeout(60_000);
    const { calls, offer } = await startHanging();
    offer(await append('other', keys(2 * PLACES)));
    await allSentOf('other', 2 * PLACES);
    assert.equal(calls.length, SHARE);
    endHanging();
    await allSentOf('hanging', 2 * PLACES);
  });

  it('goes on with other tenants when the calls of one time out', async function () {
    this.timeout(60_000);
    let warnings = 0;
    const { calls, offer } = await startHanging({
      onWarning: () => {
        warnings += 1;
      },
    });
    offer(await append('other', ['answered since']));
    await allSentOf('other', 1);
    calls[0]?.timeOut();
    offer(await append('other', ['after the first']));
    await allSentOf('other', 2);
    assert.equal(warnings, 0, 'Temporal has answered another');
    const before = calls.length;
    for (const { timeOut } of calls) timeOut();
    await until('others of its calls to begin', () => Promise.resolve(calls.length > before));
    calls.at(-1)?.timeOut();
    await until('it to be taken for an outage', () => Promise.resolve(warnings === 1));
    offer(await append('other', ['in the outage']));
    await allSentOf('other', 3);
  });

  it('sends everything else while the call of one run takes for ever', async function () {
    this.timeout(60_000);
    const slow = makeRunId({ flow: 'flow', tenant: 'a', key: 'slow' });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await append('a', ['slow']);
    const { offer } = start(async (run) => {
      begun.push(run);
      if (run === slow) await released;
    });
    await until('the slow call to begin', () => Promise.resolve(begun.includes(slow)));
    offer(await append('a', ['slow', ...keys(200)]));
    await until('all others to be sent', () => Promise.resolve(begun.length === 201));
    assert.equal(begun.filter((run) => run === slow).length, 1, 'its next call waits');
    release();
    await until('the rest of it', () =>
      Promise.resolve(begun.filter((run) => run === slow).length === 2),
    );
  });
});
