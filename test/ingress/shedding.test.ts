import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { bearerToken, bindSources, defineSource } from 'tidegate/ingress';
import { createAdmission } from '../../src/ingress/admission.ts';
import {
  expectedDelayMs,
  type Measure,
  NOTHING_SHED,
  nextShedState,
  PRIORITIES,
  type Priority,
  type ShedLimits,
  type ShedState,
  shedCause,
} from '../../src/ingress/shedding.ts';
import { startSheddingMonitor } from '../../src/ingress/shedding-monitor.ts';
import { LIMITS as DEFAULTS } from '../../src/model/limits.ts';
import { createLogger } from '../../src/telemetry.ts';
import { until } from '../support/wait.ts';
import { JSON_TYPE, post, startTestIngress, type TestIngress } from './support.ts';

const LIMITS: ShedLimits = {
  backlogDeliveries: { low: 100, normal: 200, high: 400 },
  answerDelayMs: { low: 500, normal: 1_000, high: 2_000 },
};
const measures = fc.record<Measure>({
  backlogDeliveries: fc.nat(600),
  answerDelayMs: fc.nat(3_000),
});
const timelines = fc.array(measures, { maxLength: 60 });
const stateAfter = (timeline: readonly Measure[], start: ShedState = NOTHING_SHED): ShedState =>
  timeline.reduce((state, measure) => nextShedState(state, measure, LIMITS), start);
const refused = (state: ShedState): readonly Priority[] =>
  PRIORITIES.filter((priority) => shedCause(state, priority) !== undefined);

describe('What is let in under pressure', () => {
  it('is refused from the lowest priority on: never a higher one before a lower', () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const out = refused(stateAfter(timeline));
        assert.deepEqual(out, PRIORITIES.slice(0, out.length));
      }),
    );
  });

  it('is everything while no threshold was ever passed', () => {
    const calm = fc.array(fc.record({ backlogDeliveries: fc.nat(99), answerDelayMs: fc.nat(499) }));
    fc.assert(fc.property(calm, (timeline) => assert.deepEqual(refused(stateAfter(timeline)), [])));
  });

  it('excludes whatever is over its threshold now, whatever was before', () => {
    fc.assert(
      fc.property(timelines, measures, (timeline, last) => {
        const out = refused(stateAfter([...timeline, last]));
        for (const priority of PRIORITIES) {
          const isOver =
            last.backlogDeliveries >= LIMITS.backlogDeliveries[priority] ||
            last.answerDelayMs >= LIMITS.answerDelayMs[priority];
          if (isOver) assert.ok(out.includes(priority), `${priority} is let in`);
        }
      }),
    );
  });

  it('does not change while the same is measured, and comes back when there is little to do', () => {
    fc.assert(
      fc.property(timelines, measures, (timeline, last) => {
        const once = stateAfter([...timeline, last]);
        assert.deepEqual(stateAfter([last, last], once), once);
        const calm = { backlogDeliveries: 0, answerDelayMs: 0 };
        assert.deepEqual(stateAfter([calm], once), NOTHING_SHED);
      }),
    );
  });

  it('is expected to wait for what is ahead of it, at the rate at which that goes', () => {
    assert.equal(expectedDelayMs(4_000, 4_000, 100), 1_000);
    assert.equal(expectedDelayMs(50, 0, 100), 500, 'a journal that had nothing to do is not slow');
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000), fc.nat(10_000), (awaited, rate, more) => {
        const delayMs = expectedDelayMs(awaited, rate);
        assert.ok(expectedDelayMs(awaited + more, rate) >= delayMs);
        assert.ok(expectedDelayMs(awaited, rate + more) <= delayMs);
      }),
    );
  });

  it('does not flap: around a threshold it changes once', () => {
    const wobble = fc.array(fc.integer({ min: 181, max: 219 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(wobble, (values) => {
        let state = NOTHING_SHED;
        let changes = 0;
        for (const backlogDeliveries of values) {
          const next = nextShedState(state, { backlogDeliveries, answerDelayMs: 0 }, LIMITS);
          if (next.backlog !== state.backlog) changes += 1;
          state = next;
        }
        // Into `low`, and at most once on into `normal`.
        assert.ok(changes <= 2, `${changes} changes`);
      }),
    );
  });
});

describe('The monitor of shedding', () => {
  const logger = createLogger({ level: 'silent' });
  let monitor: ReturnType<typeof startSheddingMonitor> | undefined;
  afterEach(() => monitor?.stop());
  const start = (backlogDeliveries: () => number = () => 0) => {
    monitor = startSheddingMonitor({ limits: LIMITS, backlogDeliveries, logger });
    return monitor;
  };

  it('sees that the event loop is late, and that it is in time again', async () => {
    const { refuses } = start();
    await sleep(150);
    assert.equal(refuses('low'), undefined);
    const end = Date.now() + 1_300;
    while (Date.now() < end) Math.sqrt(end);
    await until('normal to be refused', () => refuses('normal') === 'delay');
    await until('all to be let in', () => refuses('low') === undefined);
  });

  it('sees a commit that hangs, and that it came', async () => {
    const { refuses, awaiting } = start();
    let commit = (): void => {};
    const committed = awaiting(
      new Promise<void>((resolve) => {
        commit = resolve;
      }),
    );
    await until('all to be refused', () => refuses('high') === 'delay');
    commit();
    await committed;
    await until('all to be let in', () => refuses('low') === undefined);
  });

  it('does not wait for its next look when hundreds come at once', () => {
    const { refuses, awaiting } = start();
    const commits: (() => void)[] = [];
    let taken = 0;
    while (refuses('normal') === undefined && taken < 10_000) {
      void awaiting(new Promise<void>((resolve) => commits.push(resolve)));
      taken += 1;
    }
    assert.equal(taken, DEFAULTS.commitsPerSecondMin);
    assert.equal(refuses('high'), undefined);
    for (const commit of commits) commit();
  });

  it('sees the backlog', async () => {
    let deliveries = 250;
    const { refuses } = start(() => deliveries);
    await until('normal to be refused', () => refuses('normal') === 'backlog');
    assert.equal(refuses('high'), undefined);
    deliveries = 10;
    await until('all to be let in', () => refuses('low') === undefined);
  });
});

describe('Shedding at the front door', () => {
  let ingress: TestIngress;
  let state: ShedState = NOTHING_SHED;
  const shed: string[] = [];
  const sources = bindSources(
    PRIORITIES.map((priority) =>
      defineSource({
        name: priority,
        verify: bearerToken(),
        bodyUnprotected: true,
        priority,
        toEvents: ({ payload }) => [{ type: 'thing.seen', data: payload }],
      }),
    ),
    Object.fromEntries(
      PRIORITIES.map((name) => [
        `TIDEGATE_SOURCE_${name.toUpperCase()}_SECRET`,
        `secret-of-${name}`,
      ]),
    ),
  );
  before(async () => {
    ingress = await startTestIngress({
      sources,
      admission: createAdmission({
        sheds: (priority) => shedCause(state, priority),
        observer: {
          shed: (priority, cause) => shed.push(`${priority} ${cause}`),
          limited: () => {},
        },
      }),
    });
  });
  after(() => ingress.stop());
  beforeEach(() => {
    shed.length = 0;
  });

  const statuses = async () => {
    const hooks = PRIORITIES.map((name) =>
      post(`${ingress.url}/hooks/${name}`, `{"at":${Math.random()}}`, {
        ...JSON_TYPE,
        authorization: `Bearer secret-of-${name}`,
      }),
    );
    const events = [{}, { priority: 'u=7' }, { priority: 'u=0, i' }].map((headers) =>
      post(`${ingress.url}/events/thing.seen`, '{}', { ...JSON_TYPE, ...headers }),
    );
    const answers = await Promise.all([...hooks, ...events]);
    for (const { status, headers, body } of answers) {
      if (status === 202) continue;
      assert.equal(body.code, 'backlog_full');
      assert.ok(Number(headers.get('retry-after')) > 0);
    }
    return answers.map(({ status }) => status);
  };

  it('lets everything in when there is room', async () => {
    state = NOTHING_SHED;
    assert.deepEqual(await statuses(), [202, 202, 202, 202, 202, 202]);
  });
  it('refuses low first; nobody raises his own priority, and background work lowers it', async () => {
    state = { backlog: 1, delay: 0 };
    assert.deepEqual(await statuses(), [503, 202, 202, 202, 503, 202]);
    assert.deepEqual(shed.toSorted(), ['low backlog', 'low backlog']);
  });
  it('then normal, and high until the hard limit', async () => {
    state = { backlog: 0, delay: 2 };
    assert.deepEqual(await statuses(), [503, 503, 202, 503, 503, 503]);
    state = { backlog: 3, delay: 0 };
    assert.deepEqual(await statuses(), [503, 503, 503, 503, 503, 503]);
  });
  it('stays ready: there is nothing wrong with it', async () => {
    state = { backlog: 3, delay: 3 };
    assert.equal((await fetch(`${ingress.url}/readyz`)).status, 200);
  });
});
