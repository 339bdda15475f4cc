import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { openServerDatabase } from '../../src/journal/database.ts';
import type { JournalDatabase, JournalTables } from '../../src/journal/schema.ts';
import { NO_SEALING, sealingPool } from '../../src/journal/sealing.ts';
import { serverPool } from '../../src/journal/server-pool.ts';

const UNDEFINED_TABLE = '42P01';

interface Statement {
  readonly text: string;
  readonly parameters: readonly unknown[];
}

/** A node of a plan, as `explain (format json)` gives it. */
export interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Conflict Arbiter Indexes'?: readonly string[];
  readonly 'Shared Hit Blocks'?: number;
  readonly 'Shared Read Blocks'?: number;
  readonly Plans?: readonly Plan[];
}

/** A journal that tells how the database carries out its statements. */
export interface ExplainedJournal {
  readonly database: JournalDatabase;
  readonly pool: pg.Pool;
  /** The plans of what an act asks of the database, with what they take when they are carried out. */
  plansOf(
    act: (database: JournalDatabase) => Promise<unknown>,
    analyze?: boolean,
  ): Promise<readonly Plan[]>;
  close(): Promise<void>;
}

export async function openExplained(databaseUrl: string): Promise<ExplainedJournal> {
  const migrated = await openServerDatabase(databaseUrl, {
    sealing: NO_SEALING,
    logger: undefined,
  });
  await migrated.destroy();
  const said: Statement[] = [];
  const recording = recorded(
    serverPool({ databaseUrl, connectionsMax: 4, statementMsMax: 60_000, logger: undefined }),
    said,
  );
  const database = new Kysely<JournalTables>({
    dialect: new PostgresDialect({ pool: sealingPool(recording, NO_SEALING) }),
  });
  // With the settings that the journal's own connections have.
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    options: '-c enable_seqscan=off -c jit=off',
  });
  // When the server ends before it.
  pool.on('error', () => {});
  return {
    database,
    pool,
    async plansOf(act, analyze = false) {
      said.length = 0;
      await act(database);
      const statements = said.filter(({ text }) =>
        /^(\/\*.*?\*\/)?[\s(]*(with|select|insert|update|delete)\b/.test(text),
      );
      const plans: Plan[] = [];
      for (const { text, parameters } of statements) {
        const how = analyze ? '(format json, analyze, buffers)' : '(format json)';
        try {
          const { rows } = await pool.query(`explain ${how} ${text}`, [...parameters]);
          plans.push(rows[0]['QUERY PLAN'][0].Plan);
        } catch (error) {
          // It was about a partition that the act has dropped.
          if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error;
        }
      }
      return plans;
    },
    async close() {
      await database.destroy();
      await pool.end();
    },
  };
}

function recorded(pool: PostgresPool, said: Statement[]): PostgresPool {
  return {
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect();
      const query = (text: string, parameters: readonly unknown[]) => {
        said.push({ text, parameters });
        return client.query(text, parameters);
      };
      const untyped: unknown = query;
      return {
        query: untyped as PostgresPoolClient['query'],
        release: () => client.release(),
      };
    },
  };
}

/** A plan and all that is below it. */
export const nodesOf = (plan: Plan): readonly Plan[] => [
  plan,
  ...(plan.Plans ?? []).flatMap(nodesOf),
];
