import { type Kysely, type Migration, sql } from 'kysely';

/** Whether a dispatcher holds a lock that the database frees when its connection ends. */
export const dispatcherPresence: Migration = {
  async up(database: Kysely<unknown>) {
    await sql`alter table dispatchers add is_present boolean not null default false`.execute(
      database,
    );
  },
};
