import { Kysely, Migrator, PostgresDialect, type PostgresPool } from 'kysely';
import { messageOf, TidegateError } from '../model/error.ts';
import { embeddedPool } from './embedded-pool.ts';
import type { JournalLogger } from './logger.ts';
import { migrations } from './migrations/all.ts';
import { makePartitions } from './partitions.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { type Sealing, sealingPool } from './sealing.ts';
import { serverPool } from './server-pool.ts';

/** A journal in PostgreSQL, its tables brought up to date. */
export async function openServerDatabase(
  databaseUrl: string,
  { sealing, logger }: { readonly sealing: Sealing; readonly logger: JournalLogger | undefined },
): Promise<JournalDatabase> {
  // Its own connection: a migration, or the wait for another process's, may take long.
  const migrating = kysely(
    serverPool({ databaseUrl, connectionsMax: 1, statementMsMax: 0, logger }),
    sealing,
  );
  try {
    await migrate(migrating);
  } finally {
    await migrating.destroy();
  }
  return kysely(
    serverPool({ databaseUrl, connectionsMax: 10, statementMsMax: 10_000, logger }),
    sealing,
  );
}

/** A journal inside this process, its tables brought up to date. */
export async function openEmbeddedDatabase(
  directory: string | undefined,
  sealing: Sealing,
): Promise<JournalDatabase> {
  const database = kysely(await embeddedPool(directory), sealing);
  try {
    await migrate(database);
    return database;
  } catch (error) {
    await database.destroy();
    throw error;
  }
}

const kysely = (pool: PostgresPool, sealing: Sealing): JournalDatabase =>
  new Kysely<JournalTables>({ dialect: new PostgresDialect({ pool: sealingPool(pool, sealing) }) });

async function migrate(database: JournalDatabase): Promise<void> {
  await migrateTables(database);
  await makePartitions(database, new Date());
}

async function migrateTables(database: JournalDatabase): Promise<void> {
  const provider = { getMigrations: async () => ({ ...migrations }) };
  const { error, results } = await new Migrator({ db: database, provider }).migrateToLatest();
  if (error === undefined) return;
  if (TidegateError.is(error)) throw error;
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName;
  throw new TidegateError(
    'internal_error',
    `the journal's tables could not be brought up to date${failed === undefined ? '' : ` (migration ${failed})`}: ${messageOf(error)}`,
    { cause: error },
  );
}
