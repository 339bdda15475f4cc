import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { TidegateError } from '../model/error.ts';
import { databaseError } from './database-error.ts';
import type { JournalLogger } from './logger.ts';

const BIGINT_OID = 20;

export interface ServerPoolOptions {
  readonly databaseUrl: string;
  readonly connectionsMax: number;
  /** The longest a statement may take; 0 for no limit. */
  readonly statementMsMax: number;
  readonly logger: JournalLogger | undefined;
}

/** A pool of connections to a PostgreSQL server, whose errors are TidegateErrors. */
export function serverPool(options: ServerPoolOptions): PostgresPool {
  const { databaseUrl, connectionsMax, statementMsMax, logger } = options;
  assertPostgresUrl(databaseUrl);
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: 'tidegate',
    max: connectionsMax,
    connectionTimeoutMillis: 3_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    ...(statementMsMax > 0 && {
      statement_timeout: statementMsMax,
      // A server that hangs cannot keep its own limit.
      query_timeout: statementMsMax + 2_000,
      idle_in_transaction_session_timeout: 30_000,
    }),
    types: {
      getTypeParser: (oid, format) =>
        oid === BIGINT_OID ? Number : pg.types.getTypeParser(oid, format),
    },
  });
  // Without listeners a connection that breaks while nobody uses it would end the process.
  pool.on('error', (error) =>
    logger?.warn({ error: error.message }, 'a connection to the journal broke'),
  );
  pool.on('connect', (client) => client.on('error', () => {}));
  return {
    connect: async () => {
      try {
        return checked(await pool.connect());
      } catch (error) {
        throw databaseError(error);
      }
    },
    end: () => pool.end(),
  };
}

/** The client with its errors translated; one that lost its server is not used again. */
function checked(client: pg.PoolClient): PostgresPoolClient {
  let broken = false;
  const query = async (statement: string, parameters: readonly unknown[]) => {
    try {
      return await client.query(statement, [...parameters]);
    } catch (error) {
      const translated = databaseError(error);
      broken ||= TidegateError.is(translated, 'journal_unavailable');
      throw translated;
    }
  };
  // Kysely calls it with a statement only: cursors are not configured.
  const untyped: unknown = query;
  return { query: untyped as PostgresPoolClient['query'], release: () => client.release(broken) };
}

function assertPostgresUrl(databaseUrl: string): void {
  if (/^postgres(ql)?:\/\//.test(databaseUrl) && URL.canParse(databaseUrl)) return;
  // The value itself may hold a password.
  throw new TidegateError(
    'config_invalid',
    'DATABASE_URL is not a URL of the form postgres://user:password@host:5432/database. Special characters in the password must be percent-encoded.',
  );
}
