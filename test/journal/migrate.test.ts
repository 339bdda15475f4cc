import assert from 'node:assert/strict';
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely';
import { journalSealing } from '../../src/encryption/index.ts';
import { readKeyring } from '../../src/encryption/keyring.ts';
import { migrations } from '../../src/journal/migrations/all.ts';
import { openJournal } from '../../src/journal/open.ts';
import { sealedJson, sealingPool } from '../../src/journal/sealing.ts';
import { serverPool } from '../../src/journal/server-pool.ts';
import { DAY_MS } from '../../src/model/retention.ts';
import { sharedPostgres } from './both-databases.ts';
import { event } from './entries.ts';

const sealing = journalSealing(
  readKeyring({ TIDEGATE_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}` }),
);

/** A journal as it was before event data was parted by day. */
async function oldJournal(databaseUrl: string): Promise<Kysely<unknown>> {
  const pool = serverPool({ databaseUrl, connectionsMax: 1, statementMsMax: 0, logger: undefined });
  const database = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: sealingPool(pool, sealing) }),
  });
  const provider = { getMigrations: async () => ({ ...migrations }) };
  const { error } = await new Migrator({ db: database, provider }).migrateTo('0007-raw-deliveries');
  assert.equal(error, undefined);
  return database;
}

describe('a journal from before event data was parted by day', function () {
  this.timeout(60_000);

  it('has its events, their data and their deliveries as they came', async () => {
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    const old = await oldJournal(databaseUrl);
    const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
    const events = {
      young: {
        ...event({ data: { text: '\u0000 \ud800 Zoë' }, hops: 3, origin: 'human' }),
        age: 0,
      },
      old: { ...event({ schemaversion: 7, causationid: 'cause' }), age: 90 },
      erased: { ...event({ data: null, origin: 'tidegate:flow', hops: 2 }), age: 200 },
    };
    for (const [name, { age, ...envelope }] of Object.entries(events)) {
      const { id, source, type, time, tenantid: tenant, correlationid, causationid } = envelope;
      await sql`
        insert into events (
          tenant, source, id, type, time, received_at, status, correlation_id, causation_id,
          envelope, envelope_bytes, erased_at
        ) values (
          ${tenant}, ${source}, ${id}, ${type}, ${time}, ${daysAgo(age)}, 'filtered', ${correlationid},
          ${causationid ?? null}, ${sealedJson(envelope, { tenant, column: 'envelope' })}, 9,
          ${name === 'erased' ? daysAgo(age - 30) : null}
        )`.execute(old);
    }
    const body = Buffer.from('bytes').toString('base64');
    await sql`
      with kept as (
        insert into raw_deliveries (id, source, received_at, request)
        values (gen_random_uuid(), 'crm', ${daysAgo(0)},
          ${sealedJson({ method: 'POST', headers: {}, body }, { tenant: 'acme', column: 'request' })})
        returning id
      )
      insert into raw_delivery_events (event_seq, delivery)
      select seq, kept.id from events, kept where events.id = ${events.young.id}`.execute(old);
    await old.destroy();

    const journal = await openJournal({ databaseUrl, sealing });
    for (const [name, { age: _, ...envelope }] of Object.entries(events)) {
      const [row] = await journal.findEvents('acme', envelope.id);
      assert.deepEqual(row?.event, envelope, name);
      assert.equal(row?.erasedAt !== undefined, name === 'erased', name);
    }
    const raw = await journal.rawDeliveries.find(events.young);
    assert.deepEqual(Buffer.from(raw?.body ?? []).toString(), 'bytes');

    // The old event's day is one that can be dropped, and what was kept as it came goes by its day.
    const rules = { rules: [], days: 30, rememberDays: 400 };
    assert.equal((await journal.eraseDue(rules, new Date())).events, 1);
    await journal.rawDeliveries.deleteBefore(new Date(Date.now() + 2 * DAY_MS));
    assert.equal(await journal.rawDeliveries.find(events.young), undefined);
    await journal.close();
  });
});
