import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { TidegateError } from '../model/error.ts';
import { databaseError } from './database-error.ts';
import type { JournalLogger } from './logger.ts';
import { statementNames } from './prepared.ts';

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
      // A plan that is kept must not read a whole table because the table was empty when it was made: every
      // statement has its index. What has none, of a table of some rows, then looks as if compiling it paid.
      options: '-c enable_seqscan=off -c jit=off',
    }),
    types: {
      getTypeParser: (oid, format) =>
        oid === BIGINT_OID ? Number : pg.types.getTypeParser(oid, format),
    },
  });
  const nameOf = statementNames();
  // Without listeners a connection that breaks while nobody uses it would end the process.
  pool.on('error', (error) =>
    logger?.warn({ error: error.message }, 'a connection to the journal broke'),
  );
  pool.on('connect', (client) => client.on('error', () => {}));
  return {
    connect: async () => {
      try {
        return checked(await pool.connect(), nameOf);
      } catch (error) {
        throw databaseError(error);
      }
    },
    end: () => pool.end(),
  };
}

/** The client with its errors translated; one that lost its server is not used again. */
function checked(
  client: pg.PoolClient,
  nameOf: (statement: string) => string | undefined,
): PostgresPoolClient {
  let broken = false;
  const query = async (statement: string, parameters: readonly unknown[]) => {
    try {
      const name = nameOf(statement);
      const query = { text: statement, values: [...parameters] };
      return await client.query(name === undefined ? query : { ...query, name });
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
