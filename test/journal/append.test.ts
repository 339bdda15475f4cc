import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Journal } from '../../src/journal/journal.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { onBothDatabases } from './both-databases.ts';
import { accepted, event, freshRun, numbersOf, oneTo, target, unique } from './entries.ts';

const EVERYTHING = { count: 1_000, bytes: 10_000_000 };

onBothDatabases('appending events', ({ shared, fresh }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  it('keeps an event and numbers its deliveries', async () => {
    const [one, two] = [target('digest', unique('key')), target('welcome', unique('key'))];
    const kept = event();
    const [result] = await journal.append([accepted(kept, one, two)]);
    assert.deepEqual(result, {
      status: 'accepted',
      correlationId: kept.correlationid,
      deliveries: [
        { ...one, number: 1 },
        { ...two, number: 1 },
      ],
    });
    const [found] = await journal.findEvents('acme', kept.id);
    assert.deepEqual(found?.event, kept);
    assert.deepEqual(
      found?.deliveries.map(({ flow, state }) => [flow, state]),
      [
        ['digest', 'pending'],
        ['welcome', 'pending'],
      ],
    );
  });

  it('keeps the reason of an event that no run gets', async () => {
    const kept = event();
    const [result] = await journal.append([
      { event: kept, status: 'filtered', reason: 'too small', deliveries: [] },
    ]);
    assert.deepEqual(result, {
      status: 'filtered',
      reason: 'too small',
      correlationId: kept.correlationid,
      deliveries: [],
    });
  });

  it('answers a duplicate with the first event, and counts it there', async () => {
    const { entry } = freshRun();
    const first = entry();
    const [original] = await journal.append([first]);
    const again = { ...first, event: { ...first.event, correlationid: 'another story' } };
    const [duplicate] = await journal.append([again]);
    assert.deepEqual(duplicate, { ...original, status: 'duplicate' });
    const [found] = await journal.findEvents('acme', first.event.id);
    assert.equal(found?.duplicates, 1);
    assert.equal(found?.deliveries.length, 1);
  });

  it('takes the second of an identity in one call as a duplicate', async () => {
    const { entry } = freshRun();
    const first = entry();
    const results = await journal.append([first, entry(), first, first]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['accepted', 'accepted', 'duplicate', 'duplicate'],
    );
    assert.deepEqual(numbersOf(results), [1, 2, 1, 1]);
    const [found] = await journal.findEvents('acme', first.event.id);
    assert.equal(found?.duplicates, 2);
  });

  it('tells events apart by tenant, source and id together', async () => {
    const id = unique('event');
    const { entry } = freshRun();
    const results = await journal.append([
      entry({ id }),
      entry({ id, source: 'shop' }),
      entry({ id, tenantid: 'globex' }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['accepted', 'accepted', 'accepted'],
    );
    assert.equal((await journal.findEvents(undefined, id)).length, 3);
    assert.equal((await journal.findEvents('globex', id)).length, 1);
  });

  it('accepts one of 50 concurrent appends of the same event', async () => {
    const { entry, run } = freshRun();
    const same = entry();
    const results = await Promise.all(
      Array.from({ length: 50 }, async () => (await journal.append([same]))[0]),
    );
    const statuses = results.map((result) => result?.status);
    assert.equal(statuses.filter((status) => status === 'accepted').length, 1);
    assert.equal(statuses.filter((status) => status === 'duplicate').length, 49);
    for (const result of results) assert.deepEqual(result?.deliveries[0]?.number, 1);
    const [found] = await journal.findEvents('acme', same.event.id);
    assert.equal(found?.duplicates, 49);
    assert.equal((await journal.findRun(run))?.acceptedThrough, 1);
  });

  it('numbers the deliveries of a run without gaps, in the order of each call', async () => {
    const { entry, run } = freshRun();
    const calls = await Promise.all(
      Array.from({ length: 40 }, () => journal.append([entry(), entry(), entry()])),
    );
    for (const results of calls) {
      const [first = 0, ...rest] = numbersOf(results);
      assert.deepEqual(rest, [first + 1, first + 2]);
    }
    const numbers = calls.flatMap(numbersOf).sort((a, b) => a - b);
    assert.deepEqual(numbers, oneTo(120));
    const deliveries = await journal.deliveriesAfter(run, 0, EVERYTHING);
    assert.deepEqual(
      deliveries.map(({ number }) => number),
      oneTo(120),
    );
  });

  it('keeps any JSON as it was', async () => {
    const { entry, run } = freshRun();
    const json = fc.jsonValue({ stringUnit: 'binary' });
    const data = [
      ...fc.sample(json, 200),
      'NUL \0 inside',
      { '\0': ['half \ud83d a pair', '\udc00'] },
      JSON.parse('{"__proto__":{"polluted":true},"constructor":1}'),
      JSON.parse('[123456789012345678, 1e400, -0, 0.1, 1e-7]'),
    ];
    const sent = data.map((value) => entry({ data: value }));
    await journal.append(sent);
    const kept = await journal.deliveriesAfter(run, 0, EVERYTHING);
    assert.deepEqual(
      kept.map((delivery) => JSON.stringify(delivery.event)),
      sent.map(({ event: of }) => JSON.stringify(of)),
    );
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it('keeps attributes of any script', async () => {
    const { entry } = freshRun();
    const first = entry({ id: unique('ümläut 事件 🌊'), source: 'a\\b"c\'d', subject: '{"x"}\n' });
    await journal.append([first]);
    const [found] = await journal.findEvents('acme', first.event.id);
    assert.deepEqual(found?.event, first.event);
    assert.equal((await journal.append([first]))[0]?.status, 'duplicate');
  });

  it('refuses only the call whose event cannot be kept', async () => {
    const { entry } = freshRun();
    const poison = [
      { subject: 'NUL \0' },
      { subject: 'half \ud83d a pair' },
      { time: 'the day after tomorrow' },
    ].map((overrides) => entry(overrides));
    const calls = Array.from({ length: 30 }, (_, index) => {
      const bad = index % 10 === 5 ? poison[Math.floor(index / 10)] : undefined;
      return journal.append(bad === undefined ? [entry()] : [entry(), bad]);
    });
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [{ index, code: outcome.reason.code }] : [],
    );
    assert.deepEqual(
      refused,
      [5, 15, 25].map((index) => ({ index, code: 'invalid_event' })),
    );
    const numbers = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? numbersOf(outcome.value) : [],
    );
    assert.deepEqual(
      [...numbers].sort((a, b) => a - b),
      oneTo(27),
    );
  });

  it('refuses a call when too many events wait, and takes calls again afterwards', async () => {
    const { entry } = freshRun();
    const batch = () => Array.from({ length: LIMITS.batchEventsMax }, () => entry());
    const ahead = journal.append([entry()]);
    const fits = LIMITS.appendQueueEventsMax / LIMITS.batchEventsMax;
    const waiting = Array.from({ length: fits }, () => journal.append(batch()));
    await assert.rejects(journal.append([entry()]), { code: 'backlog_full' });
    const results = await Promise.all([ahead, ...waiting]);
    assert.equal(results.flat().length, LIMITS.appendQueueEventsMax + 1);
    assert.equal((await journal.append([entry()]))[0]?.status, 'accepted');
  });

  it('bounds a hand-over by count and by bytes, and hands over at least one', async () => {
    const { entry, run } = freshRun();
    await journal.append(oneTo(10).map(() => entry({ data: 'x'.repeat(1_000) })));
    const numbers = async (after: number, bounds: { count: number; bytes: number }) =>
      (await journal.deliveriesAfter(run, after, bounds)).map(({ number }) => number);
    assert.deepEqual(await numbers(7, { count: 100, bytes: 100_000 }), [8, 9, 10]);
    assert.deepEqual(await numbers(2, { count: 2, bytes: 100_000 }), [3, 4]);
    assert.deepEqual(await numbers(0, { count: 100, bytes: 3_900 }), [1, 2, 3]);
    assert.deepEqual(await numbers(4, { count: 100, bytes: 10 }), [5]);
    assert.deepEqual(await numbers(10, { count: 100, bytes: 10 }), []);
  });

  it('commits what it has taken before it closes', async () => {
    const other = await fresh();
    const { entry } = freshRun();
    const appended = [other.append([entry()]), other.append([entry()]), other.append([entry()])];
    await other.close();
    assert.deepEqual(numbersOf((await Promise.all(appended)).flat()), [1, 2, 3]);
    await assert.rejects(other.append([entry()]), { code: 'journal_unavailable' });
  });
});
