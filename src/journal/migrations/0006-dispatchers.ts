import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  sql`
    create table dispatchers (
      holder text collate "C" primary key,
      expires_at timestamptz not null
    )`,
  sql`
    create index runs_to_send_by_tenant on runs (tenant, pending_since)
      where sent_through < accepted_through and waits_since is null and fused_at is null`,
];

/** Who takes lanes now, between whom they are shared out; and what each tenant has to send. */
export const dispatchers: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
