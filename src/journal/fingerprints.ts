/** What connectors write, so that the webhook that comes back of it is known again. */
import { type Selectable, sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import {
  echoed,
  fieldHashes,
  identityHash,
  type OpenWrite,
  objectHash,
} from './fingerprints-match.ts';
import type { ChangeEvent, ConnectorWrite, WrittenBy } from './journal.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { storable } from './text.ts';

/** Old writes that one new one sweeps up. */
const OLD_WRITES_MAX = 100;
/** A verdict is kept for longer than its sender may take to send the event again after a failure. */
const VERDICT_DAYS = 3;

/** Keeps what a connector is about to write; an attempt that follows only lasts longer. */
export async function recordWrite(
  database: JournalDatabase,
  { idempotencyKey, tenant, run, operation, change, echoMs }: ConnectorWrite,
): Promise<void> {
  const fields = fieldHashes(change).slice(0, LIMITS.echoFieldsMax);
  if (fields.length === 0) return;
  await sql`
    with swept as (
      delete from connector_writes
      where seq in (
        select seq
        from connector_writes
        where expires_at < now() - ${VERDICT_DAYS}::int * interval '1 day'
        order by expires_at
        limit ${OLD_WRITES_MAX}::int
        for update skip locked
      )
    )
    insert into connector_writes (
      idempotency_key, object_hash, tenant, system, object, run, operation, open_fields, expires_at
    )
    values (
      ${idempotencyKey}, ${objectHash(tenant, change)}, ${tenant}, ${storable(change.system)},
      ${storable(change.object)}, ${run}, ${operation}, ${JSON.stringify(fields)}::json,
      now() + ${echoMs}::float8 * interval '1 millisecond'
    )
    on conflict (idempotency_key) do update
      set expires_at = greatest(connector_writes.expires_at, excluded.expires_at)`.execute(
    database,
  );
}

/** Forgets a write that was not carried out. */
export async function withdrawWrite(
  database: JournalDatabase,
  idempotencyKey: string,
): Promise<void> {
  await database
    .deleteFrom('connector_writes')
    .where('idempotency_key', '=', idempotencyKey)
    .execute();
}

/**
 * Which of these events are echoes of writes, and of whose; each uses up what it echoes. The claim is
 * kept by the event's identity: the same event again gets the same answer. An event that the journal
 * has already is a duplicate of whatever it was, and claims nothing.
 */
export async function claimEchoes(
  database: JournalDatabase,
  told: readonly ChangeEvent[],
): Promise<readonly (WrittenBy | undefined)[]> {
  const objects = told.map(({ event, change }) => objectHash(event.tenantid, change));
  const isWritten = await database
    .selectFrom('connector_writes')
    .select('seq')
    .where('object_hash', 'in', [...new Set(objects)])
    .limit(1)
    .executeTakeFirst();
  // A person's change of an object that we have not written lately: most are.
  if (isWritten === undefined) return told.map(() => undefined);
  return database.transaction().execute(async (transaction) => {
    const { writes, now } = await lockWrites(transaction, objects);
    const known = await journalled(transaction, told);
    const verdicts: (WrittenBy | undefined)[] = [];
    for (const [index, { event, change }] of told.entries()) {
      const identity = identityHash(event);
      const object = objects[index] as string;
      const ofObject = writes.get(object) ?? [];
      const echo = known.has(identity)
        ? undefined
        : echoed(ofObject, { identity, fields: fieldHashes(change) }, now);
      verdicts.push(echo?.[0]?.writtenBy);
      if (echo === undefined) continue;
      const after = new Map(echo.map((write) => [write.seq, write]));
      writes.set(
        object,
        ofObject.map((write) => after.get(write.seq) ?? write),
      );
      for (const write of echo) await keepEcho(transaction, write);
    }
    return verdicts;
  });
}

interface Write extends OpenWrite {
  readonly writtenBy: WrittenBy;
}

/** The writes to these objects, the oldest first, and the time on the journal's clock. */
async function lockWrites(database: JournalDatabase, objects: readonly string[]) {
  const rows = await database
    .selectFrom('connector_writes')
    .selectAll()
    .select(sql<number>`extract(epoch from clock_timestamp())::float8 * 1000`.as('now'))
    .where('object_hash', 'in', [...new Set(objects)])
    // One order for all who lock them.
    .orderBy('seq')
    .forUpdate()
    .execute();
  const writes = new Map<string, readonly Write[]>();
  for (const row of rows) {
    writes.set(row.object_hash, [...(writes.get(row.object_hash) ?? []), writeOf(row)]);
  }
  return { writes, now: rows[0]?.now ?? 0 };
}

const writeOf = (row: Selectable<JournalTables['connector_writes']>): Write => ({
  seq: row.seq,
  open: row.open_fields,
  echoes: row.echoes,
  expiresAt: row.expires_at.getTime(),
  writtenBy: { run: row.run, operation: row.operation },
});

async function keepEcho(database: JournalDatabase, write: OpenWrite): Promise<void> {
  await database
    .updateTable('connector_writes')
    .set({
      open_fields: JSON.stringify(write.open),
      echoes: JSON.stringify(write.echoes),
      expires_at: new Date(write.expiresAt),
    })
    .where('seq', '=', write.seq)
    .execute();
}

/** Of these events, those that the journal has, by identity. */
async function journalled(
  database: JournalDatabase,
  told: readonly ChangeEvent[],
): Promise<ReadonlySet<string>> {
  const rows = await database
    .selectFrom('events')
    .select(['tenant as tenantid', 'source', 'id'])
    .where((where) =>
      where.or(
        told.map(({ event }) =>
          where.and({ id: event.id, source: event.source, tenant: event.tenantid }),
        ),
      ),
    )
    .execute();
  return new Set(rows.map(identityHash));
}
