import { mkdir } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import { databaseError, unavailable } from './database-error.ts';
import { lockDirectory } from './directory-lock.ts';

const BIGINT_OID = 20;

/**
 * PostgreSQL inside this process, in the shape of a pool of one connection. `connect` hands the
 * connection to one caller at a time, in order, so that transactions cannot interleave.
 *
 * @param directory where it keeps its files; undefined keeps everything in memory.
 * @throws TidegateError `journal_unavailable` when another process has the directory open.
 */
export async function embeddedPool(directory: string | undefined): Promise<PostgresPool> {
  if (directory !== undefined) await mkdir(directory, { recursive: true });
  const unlock = directory === undefined ? async () => {} : await lockDirectory(directory);
  const database = await start(directory).catch(async (error: unknown) => {
    await unlock();
    throw databaseError(error);
  });

  let lastReturned: Promise<void> = Promise.resolve();
  const connect = async (): Promise<PostgresPoolClient> => {
    const free = lastReturned;
    let release = (): void => {};
    lastReturned = new Promise((resolve) => {
      release = resolve;
    });
    await free;
    if (database.closed) {
      release();
      throw unavailable('it was closed');
    }
    return { query: queryOf(database), release };
  };
  const end = async (): Promise<void> => {
    await lastReturned;
    await database.close();
    await unlock();
  };
  return { connect, end };
}

const start = (directory: string | undefined): Promise<PGlite> =>
  PGlite.create({
    ...(directory !== undefined && { dataDir: directory }),
    parsers: { [BIGINT_OID]: Number },
  });

function queryOf(database: PGlite): PostgresPoolClient['query'] {
  const query = async (statement: string, parameters: readonly unknown[]) => {
    try {
      const { command, rowCount, rows } = await database.query(statement, [...parameters]);
      return { command, rowCount: rowCount ?? 0, rows };
    } catch (error) {
      throw databaseError(error);
    }
  };
  return query as PostgresPoolClient['query'];
}
