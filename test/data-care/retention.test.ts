import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sql } from 'kysely';
import { journalSealing } from '../../src/encryption/index.ts';
import { readKeyring } from '../../src/encryption/keyring.ts';
import { parseRetention } from '../../src/ingress/read-retention.ts';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import { leaseLanes } from '../../src/journal/lanes.ts';
import { openJournal } from '../../src/journal/open.ts';
import { recordOutbox } from '../../src/journal/outbox.ts';
import { redeliveryOf } from '../../src/journal/redelivery.ts';
import { reject } from '../../src/journal/rejections.ts';
import { eraseDue } from '../../src/journal/retention.ts';
import { runActivities } from '../../src/journal/run-activities.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { settle } from '../../src/journal/settle.ts';
import { makeSettler } from '../../src/journal/settler.ts';
import { setAside } from '../../src/journal/undeliverable.ts';
import { DAY_MS, daysKept, type Retention } from '../../src/model/retention.ts';
import { makeRunId } from '../../src/model/run.ts';
import { testEvent } from '../support/events.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * DAY_MS);
const CANARY = 'quetzal-canary';
const week: Retention = {
  rules: [{ tenants: ['*'], types: ['debug.*'], days: 7 }],
  days: 90,
  rememberDays: 400,
};

const KINDS = ['PGlite', 'PostgreSQL'] as const;

const suite = (kind: (typeof KINDS)[number]) =>
  function (this: Mocha.Suite): void {
    this.timeout(120_000);
    let server: TestPostgres | undefined;
    let database: JournalDatabase;
    let append: ReturnType<typeof makeAppender>['append'];
    let ids = 0;

    before(async () => {
      if (kind === 'PGlite') database = await openEmbeddedDatabase(undefined, NO_SEALING);
      else {
        server = await startPostgres();
        database = await openServerDatabase(await server.createDatabase(), {
          sealing: NO_SEALING,
          logger: undefined,
        });
      }
      ({ append } = makeAppender(database));
    });
    after(async () => {
      await database?.destroy();
      await server?.remove();
    });
    afterEach(async () => {
      for (const name of await tables()) {
        if (name !== 'lanes') await sql`delete from ${sql.table(name)}`.execute(database);
      }
    });

    const tables = async (): Promise<readonly string[]> => {
      const { rows } = await sql<{ name: string }>`
      select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
        and relname not like 'kysely%'`.execute(database);
      return rows.map(({ name }) => name);
    };
    /** Where the database still has a text. */
    const whereIs = async (text: string): Promise<readonly string[]> => {
      const found: string[] = [];
      for (const name of await tables()) {
        const { rows } = await sql`select * from ${sql.table(name)}`.execute(database);
        if (JSON.stringify(rows).includes(text)) found.push(name);
      }
      return found;
    };

    /** An event that came so long ago, and the run that it was delivered to. */
    const received = async (
      age: number,
      type = 'debug.line',
      tenant = 'default',
      canary = CANARY,
    ) => {
      ids += 1;
      const id = `e${ids}`;
      const run = makeRunId({ flow: 'flow', tenant, key: id });
      const event = testEvent({
        id,
        type,
        tenantid: tenant,
        subject: canary,
        actor: canary,
        data: { canary },
      });
      await append([{ event, status: 'accepted', deliveries: [{ flow: 'flow', key: id, run }] }]);
      await makeOlder(id, age);
      return { id, run, event };
    };
    const makeOlder = async (id: string, age: number) => {
      await sql`
        update event_data set received_at = ${daysAgo(age)}
        from events where events.seq = event_seq and events.id = ${id}`.execute(database);
      await sql`update events set received_at = ${daysAgo(age)} where id = ${id}`.execute(database);
    };
    /** All that a run can make of its first delivery. */
    const worked = async (run: Awaited<ReturnType<typeof received>>['run'], canary = CANARY) => {
      const does = runActivities(database, makeSettler(database));
      const parkId = '1/approval#1/1';
      const workflowRunId = 'w';
      const question = { kind: 'approval', title: canary, approvers: ['ana'], need: 1 } as const;
      const at = { run, parkId };
      await does['journal.park']({ ...at, workflowRunId, step: 's', reason: canary, question });
      const said = {
        approver: 'ana',
        action: 'approve',
        reason: canary,
        at: 1,
        via: 'api',
      } as const;
      await does['journal.voice']({ ...at, voice: said });
      const decision = { action: 'approve', reason: canary, actor: 'ana', input: canary } as const;
      await does['journal.resume']({ ...at, decision });
      await does['journal.record']({ run, window: 1, step: 's', kind: 'saga', record: { canary } });
      const idempotencyKey = `${run}/1/mail#1`;
      const sent = { connector: 'mail', operation: 'send', input: { canary } };
      await recordOutbox(database, { idempotencyKey, run, ...sent });
    };
    const settled = (run: Parameters<typeof worked>[0]) =>
      settle(database, {
        run,
        through: 1,
        outcome: 'completed',
        reason: CANARY,
        result: { canary: CANARY },
      });

    it('leaves nothing of what is over, and remembers that it was', async () => {
      const { run, event } = await received(8);
      await worked(run);
      await settled(run);
      assert.ok((await whereIs(CANARY)).length >= 6, String(await whereIs(CANARY)));
      assert.equal((await eraseDue(database, week, NOW)).events, 1);
      assert.deepEqual(await whereIs(CANARY), []);
      const target = { flow: 'flow', key: event.id, run };
      const [again] = await append([{ event, status: 'accepted', deliveries: [target] }]);
      assert.equal(again?.status, 'duplicate');
      assert.deepEqual(await whereIs(CANARY), []);
    });

    it('forgets it after a time, with its run', async () => {
      const { id, run } = await received(401);
      await settled(run);
      await sql`update runs set updated_at = ${daysAgo(401)}`.execute(database);
      const { events, forgotten } = await eraseDue(database, week, NOW);
      assert.deepEqual([events, forgotten], [1, 1]);
      assert.deepEqual(await whereIs(id), []);
    });

    it('forgets what was set aside together with its event, and no other', async () => {
      await leaseLanes(database, 'holder', 600_000);
      const { id, run } = await received(401);
      const event = testEvent({ id: 'later', type: 'debug.line', data: {} });
      await append([{ event, status: 'accepted', deliveries: [{ flow: 'flow', key: id, run }] }]);
      await makeOlder('later', 399);
      for (const number of [1, 2]) {
        const refused = { run, number, reason: 'too large', holds: false };
        assert.equal(await setAside(database, 'holder', refused), true);
      }
      const letters = async () => {
        const { rows } = await sql<{ seq: number; number: number }>`
          select seq, number from undeliverable order by number`.execute(database);
        return rows;
      };
      const forgottenNow = async () => (await eraseDue(database, week, NOW)).forgotten;
      assert.equal(await forgottenNow(), 0, 'a person has not looked at it');
      const { discard } = redeliveryOf(database);
      for (const { seq } of await letters()) {
        const act = { actor: 'ana', reason: 'not needed' };
        assert.equal(await discard({ kind: 'undeliverable', number: seq }, act), true);
      }
      assert.equal(await forgottenNow(), 1);
      assert.deepEqual(
        (await letters()).map(({ number }) => number),
        [2],
      );
    });

    it('touches nothing that is unsettled, parked, held or lost and open', async () => {
      const unsettled = await received(1_000);
      const parked = await received(1_000);
      await worked(parked.run);
      await settled(parked.run);
      await sql`update runs set status = 'parked' where run = ${parked.run}`.execute(database);
      const held = await received(1_000);
      await settled(held.run);
      await sql`
      insert into held_deliveries (event_seq, flow, tenant, code, message)
      select seq, 'other', 'default', 'filter_failed', '' from events where id = ${held.id}`.execute(
        database,
      );
      const lost = await received(1_000);
      await settle(database, { run: lost.run, through: 1, outcome: 'lost', reason: CANARY });
      const young = await received(6);
      await settled(young.run);
      const other = await received(89, 'order.placed');
      await settled(other.run);
      const before = await whereIs(CANARY);
      const { events, forgotten } = await eraseDue(database, week, NOW);
      assert.deepEqual([events, forgotten], [0, 0]);
      assert.deepEqual(await whereIs(CANARY), before);

      await sql`update settlements set closed_at = now() where run = ${lost.run}`.execute(database);
      await sql`update held_deliveries set closed_at = now()`.execute(database);
      await settled(unsettled.run);
      await sql`update runs set status = 'settled'`.execute(database);
      assert.equal((await eraseDue(database, week, NOW)).events, 4);
      assert.equal((await eraseDue(database, week, NOW)).events, 0);
    });

    // The embedded database has one connection: nobody else can have begun.
    if (kind === 'PostgreSQL')
      it('leaves the work to whoever has begun it', async () => {
        const { run } = await received(8);
        await settled(run);
        await database.transaction().execute(async (transaction) => {
          await sql`
          select pg_advisory_xact_lock(hashtextextended('tidegate retention', 0))`.execute(
            transaction,
          );
          assert.equal((await eraseDue(database, week, NOW)).events, 0);
        });
        assert.equal((await eraseDue(database, week, NOW)).events, 1);
      });

    it('deletes refused events by their own age', async () => {
      const refused = { tenant: 'default', source: 's', code: 'c', message: CANARY, body: CANARY };
      await reject(database, [{ ...refused, id: 'old', type: 'debug.line' }]);
      await sql`update rejections set received_at = ${daysAgo(8)}`.execute(database);
      await reject(database, [{ ...refused, id: 'other', type: 'order.placed' }]);
      await sql`
      update rejections set received_at = ${daysAgo(80)} where id = 'other'`.execute(database);
      assert.equal((await eraseDue(database, week, NOW)).rejections, 1);
      const { rows } = await sql<{ id: string }>`select id from rejections`.execute(database);
      assert.deepEqual(rows, [{ id: 'other' }]);
    });

    it('erases exactly what its rule says, whatever the rules and the ages', async () => {
      const tenant = fc.constantFrom('acme', 'beta', 'gamma');
      const type = fc.constantFrom('debug.a', 'debug.b', 'order.placed');
      const rule = fc.record({
        tenants: fc.uniqueArray(fc.oneof(tenant, fc.constantFrom('*', 'a*')), { minLength: 1 }),
        types: fc.uniqueArray(fc.oneof(type, fc.constantFrom('*', 'debug.*')), { minLength: 1 }),
        days: fc.integer({ min: 1, max: 100 }),
      });
      const rules = fc.record({
        rules: fc.array(rule, { maxLength: 4 }),
        rememberDays: fc.constant(100_000),
      });
      const one = fc.record({
        tenant,
        type,
        age: fc.integer({ min: 0, max: 120 }),
        isOpen: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(
          rules,
          fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
          fc.array(one, { minLength: 1, maxLength: 8 }),
          async (from, days, events) => {
            const retention = { ...from, ...(days !== undefined && { days }) };
            const canaries: string[] = [];
            for (const [index, { tenant, type, age, isOpen }] of events.entries()) {
              const canary = `canary-${ids}-${index}.`;
              const { run } = await received(age, type, tenant, canary);
              await worked(run, canary);
              if (!isOpen) await settled(run);
              canaries.push(canary);
            }
            await eraseDue(database, retention, NOW);
            for (const [index, event] of events.entries()) {
              const kept = daysKept(retention, event);
              const isOver = kept !== undefined && event.age > kept && !event.isOpen;
              const left = await whereIs(canaries[index] ?? '');
              assert.equal(left.length === 0, isOver, JSON.stringify({ ...event, kept, left }));
            }
            for (const name of await tables()) {
              if (name !== 'lanes') await sql`delete from ${sql.table(name)}`.execute(database);
            }
          },
        ),
        { numRuns: 25 },
      );
    });
  };

describe('retention', () => {
  for (const kind of KINDS) describe(`in ${kind}`, suite(kind));
});

describe('an erased event', () => {
  it('is shown without its data, also when that was encrypted', async () => {
    const keyring = readKeyring({
      TIDEGATE_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    });
    const journal = await openJournal({ sealing: journalSealing(keyring) });
    const event = testEvent({ id: 'e1', subject: CANARY, data: { canary: CANARY } });
    await journal.append([{ event, status: 'filtered', reason: CANARY, deliveries: [] }]);
    const later = new Date(Date.now() + 91 * DAY_MS);
    assert.equal((await journal.eraseDue(week, later)).events, 1);
    const [row] = await journal.findEvents('default', 'e1');
    assert.ok(row?.erasedAt);
    assert.deepEqual([row.event.data, row.event.subject, row.reason], [null, undefined, undefined]);
    assert.deepEqual([row.event.id, row.event.correlationid], ['e1', 'e1']);
    await journal.close();
  });
});

describe('the rules of retention', () => {
  it('are the first that fits, else the default, else none', () => {
    const retention = parseRetention('retention.json', {
      rules: [
        { tenants: ['eu-*'], types: ['debug.*'], days: 3 },
        { types: ['debug.*'], days: 7 },
      ],
      default: { days: 90 },
    });
    assert.equal(daysKept(retention, { tenant: 'eu-1', type: 'debug.x' }), 3);
    assert.equal(daysKept(retention, { tenant: 'us-1', type: 'debug.x' }), 7);
    assert.equal(daysKept(retention, { tenant: 'us-1', type: 'debugxx' }), 90);
    assert.equal(daysKept({ rules: [], rememberDays: 1 }, { tenant: 'a', type: 'b' }), undefined);
  });

  it('are refused with every problem', () => {
    const refuse = (json: unknown, message: RegExp) =>
      assert.throws(() => parseRetention('retention.json', json), {
        code: 'config_invalid',
        message,
      });
    refuse({ rules: [{ days: 0 }, { days: 'x' }] }, /rules\[0\]\.days.*rules\[1\]\.days/);
    refuse({ default: { days: 500 } }, /rememberDays must be at least 500/);
    refuse({ keep: 1 }, /keep/);
  });
});
