import pg from 'pg';
import { until } from '../support/wait.ts';

/** On a machine that does much else, what is to wait comes late. */
const WAITED_MS_MAX = 90_000;

/** A table that nobody can write to. */
export interface LockedTable {
  /** Waits until so many others wait for it. */
  waited(count: number): Promise<void>;
  release(): Promise<void>;
}

export async function lockTable(databaseUrl: string, table: string): Promise<LockedTable> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`begin; lock table ${table} in access exclusive mode`);
  return {
    waited: async (count) => {
      const waiting = `select from pg_locks where relation = '${table}'::regclass and not granted`;
      await until(
        `${count} to wait for ${table}`,
        async () => {
          const { rows } = await client.query(waiting);
          return rows.length >= count;
        },
        WAITED_MS_MAX,
      );
    },
    release: () => client.end(),
  };
}
