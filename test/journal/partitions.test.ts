import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sql } from 'kysely';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import { deliveriesAfter } from '../../src/journal/dispatch-queries.ts';
import { dayPartitions, makePartitions } from '../../src/journal/partitions.ts';
import { eraseDue } from '../../src/journal/retention.ts';
import { isToSweep, startOfDay } from '../../src/journal/retention-days.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { settle } from '../../src/journal/settle.ts';
import { DAY_MS, type Retention } from '../../src/model/retention.ts';
import { sharedPostgres } from './both-databases.ts';
import { accepted, event, target, unique } from './entries.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * DAY_MS);
const week: Retention = { rules: [], days: 7, rememberDays: 400 };

const openServer = async (): Promise<JournalDatabase> =>
  openServerDatabase(await (await sharedPostgres()).createDatabase(), {
    sealing: NO_SEALING,
    logger: undefined,
  });

interface Received {
  readonly id: string;
  readonly age: number;
  readonly type: string;
  readonly isOpen: boolean;
}

/** Puts events into a journal as if they had come at noon so many days ago. */
async function receive(database: JournalDatabase, events: readonly Received[]): Promise<void> {
  const { append } = makeAppender(database);
  for (const { id, age, type, isOpen } of events) {
    const to = target('flow', id);
    await append([accepted(event({ id, type, subject: id, data: { id } }), to)]);
    const at = new Date(daysAgo(age).getTime() + DAY_MS / 2);
    await sql`
      update event_data set received_at = ${at}
      from events where events.seq = event_seq and events.id = ${id}`.execute(database);
    await sql`update events set received_at = ${at} where id = ${id}`.execute(database);
    if (isOpen) continue;
    await settle(database, { run: to.run, through: 1, outcome: 'completed', result: { id } });
  }
}

/** Everything that is left of events and of what runs made of them. */
async function left(database: JournalDatabase): Promise<readonly unknown[]> {
  const { rows } = await sql`
    select events.id, events.subject, events.erased_at is not null as is_erased,
      event_data.envelope, settlements.result
    from events
    left join event_data on event_data.event_seq = events.seq
    left join deliveries on deliveries.event_seq = events.seq
    left join settlements on settlements.run = deliveries.run
    order by events.id`.execute(database);
  return rows;
}

const namesOf = async (database: JournalDatabase): Promise<readonly string[]> =>
  (await dayPartitions(database, 'event_data')).map(({ name }) => name);

interface Day {
  readonly oid: number;
  readonly rows: number;
}

/** The tables of the days before NOW, by their names. */
async function days(database: JournalDatabase): Promise<ReadonlyMap<string, Day>> {
  const { rows } = await sql<Day & { readonly name: string }>`
    select relname as name, oid::int as oid, (
      select count(*)::int from event_data where event_data.tableoid = pg_class.oid
    ) as rows
    from pg_class
    where relname like 'event_data_2030%' and relkind = 'r'`.execute(database);
  return new Map(rows.map(({ name, ...day }) => [name, day]));
}

describe('days of event data', function () {
  this.timeout(120_000);

  it('are dropped with exactly what erasing row by row erases', async () => {
    const byRow = await openEmbeddedDatabase(undefined, NO_SEALING);
    const byDay = await openEmbeddedDatabase(undefined, NO_SEALING);
    const seen = { empty: 0, dropped: 0, copied: 0, deleted: 0 };
    const one = fc.record({
      age: fc.integer({ min: 0, max: 4 }),
      type: fc.constantFrom('debug.line', 'order.placed'),
      isOpen: fc.boolean(),
    });
    const rules = fc.record({
      rules: fc.array(
        fc.record({
          tenants: fc.constant(['*']),
          types: fc.constantFrom(['debug.*'], ['order.*']),
          days: fc.integer({ min: 1, max: 4 }),
        }),
        { maxLength: 2 },
      ),
      days: fc.integer({ min: 1, max: 3 }),
      rememberDays: fc.constant(100_000),
    });
    const erasesAlike = fc.asyncProperty(
      fc.array(one, { minLength: 4, maxLength: 12 }),
      rules,
      async (some, rule) => {
        const events = some.map((each) => ({ ...each, id: unique('e') }));
        for (const age of [0, 1, 2, 3, 4]) await makePartitions(byDay, daysAgo(age));
        for (const database of [byRow, byDay]) await receive(database, events);
        const before = await days(byDay);
        const erased = await eraseDue(byRow, rule, NOW);
        assert.deepEqual(await eraseDue(byDay, rule, NOW), erased);
        assert.deepEqual(await left(byDay), await left(byRow));
        const after = await days(byDay);
        for (const [name, { oid, rows }] of before) {
          const day = after.get(name);
          if (day === undefined) seen[rows === 0 ? 'empty' : 'dropped'] += 1;
          else if (day.oid !== oid) seen.copied += 1;
          else if (day.rows < rows) seen.deleted += 1;
        }
        for (const database of [byRow, byDay]) {
          for (const table of [
            'events',
            'event_data',
            'deliveries',
            'runs',
            'settlements',
            'swept_days',
          ]) {
            await sql`delete from ${sql.table(table)}`.execute(database);
          }
        }
      },
    );
    // Each way must have been gone, else the comparison says nothing of it; the rare one is not in every 25.
    const areAllSeen = () => Object.values(seen).every((times) => times > 0);
    for (let round = 0; round < 10 && !areAllSeen(); round += 1) {
      await fc.assert(erasesAlike, { numRuns: 25 });
    }
    assert.ok(areAllSeen(), JSON.stringify(seen));
    await byRow.destroy();
    await byDay.destroy();
  });

  it('are dropped while events are appended, and wait when somebody reads', async () => {
    const database = await openServer();
    await makePartitions(database, daysAgo(9));
    await receive(
      database,
      [1, 2, 3].map((n) => ({ id: unique('old'), age: 9, type: 'a', isOpen: n === 1 })),
    );
    const day = 'event_data_20300523';
    assert.ok((await namesOf(database)).includes(day));
    const { append } = makeAppender(database);
    const appendOne = () => append([accepted(event(), target('flow', unique('key')))]);
    let isErasing = true;
    await database.transaction().execute(async (reader) => {
      await sql`select from event_data limit 1`.execute(reader);
      const erasing = eraseDue(database, week, NOW).finally(() => {
        isErasing = false;
      });
      let appended = 0;
      while (isErasing) {
        const [result] = await appendOne();
        assert.equal(result?.status, 'accepted');
        appended += 1;
      }
      assert.ok(appended > 1);
      assert.equal((await erasing).events, 2);
    });
    const { rows } = await sql`select from ${sql.table(day)}`.execute(database);
    assert.equal(rows.length, 3, 'the day was dropped under its reader');
    const before = (await days(database)).get(day)?.oid;
    await Promise.all([eraseDue(database, week, NOW), ...Array.from({ length: 20 }, appendOne)]);
    assert.notEqual((await days(database)).get(day)?.oid, before);
    const kept = await sql`select from ${sql.table(day)}`.execute(database);
    assert.equal(kept.rows.length, 1);
    await database.destroy();
  });

  it('are made by several processes at once, with what came before they were', async () => {
    const database = await openServer();
    for (const { name } of await dayPartitions(database, 'event_data')) {
      await sql`drop table ${sql.table(name)}`.execute(database);
    }
    const to = target('flow', unique('key'));
    const { append } = makeAppender(database);
    await append([accepted(event({ data: { came: 'early' } }), to)]);
    const inDefault = async () =>
      (await sql`select from event_data_default`.execute(database)).rows.length;
    assert.equal(await inDefault(), 1);
    await Promise.all(Array.from({ length: 8 }, () => makePartitions(database, new Date())));
    assert.equal((await namesOf(database)).length, 4);
    assert.equal(await inDefault(), 0);
    const [delivery] = await deliveriesAfter(database, to.run, 0, { count: 9, bytes: 9_999 });
    assert.deepEqual(delivery?.event.data, { came: 'early' });
    await database.destroy();
  });

  it('older than what is read at once are read too', async () => {
    const database = await openEmbeddedDatabase(undefined, NO_SEALING);
    const ids = [unique('e'), unique('e')] as const;
    await receive(database, [{ id: ids[0], age: 2, type: 'a', isOpen: true }]);
    const { run } = target('flow', ids[0]);
    const bounds = { count: 9, bytes: 9_999 };
    const [delivery] = await deliveriesAfter(database, run, 0, bounds);
    assert.deepEqual(delivery?.event.data, { id: ids[0] });
    await database.destroy();
  });
});

describe('a round of the retention', () => {
  const day = fc.integer({ min: 0, max: 30 });

  it('looks at a day once for each rule, and again while something is open', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
        day,
        day,
        fc.boolean(),
        (kept, sweptAge, age, isDone) => {
          const retention = {
            rules: kept.map((days) => ({ tenants: ['*'], types: ['*'], days })),
            rememberDays: 400,
          };
          const end = daysAgo(0);
          const [at, now] = [Math.min(sweptAge, age), Math.max(sweptAge, age)].map(
            (days) => new Date(end.getTime() + days * DAY_MS + 1),
          ) as [Date, Date];
          const dueAt = (time: Date) =>
            kept.filter((days) => end.getTime() + days * DAY_MS <= time.getTime()).length;
          assert.equal(
            isToSweep(retention, end, { at, isDone }, now),
            isDone ? dueAt(now) > dueAt(at) : dueAt(now) > 0,
          );
          assert.equal(isToSweep(retention, end, undefined, now), dueAt(now) > 0);
          assert.equal(startOfDay(end).getTime(), end.getTime());
        },
      ),
    );
  });
});
