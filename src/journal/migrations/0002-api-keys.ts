import { type Kysely, type Migration, sql } from 'kysely';

export const apiKeys: Migration = {
  async up(database: Kysely<unknown>) {
    await sql`
      create table api_keys (
        id text collate "C" primary key,
        seq bigint generated always as identity unique,
        name text not null,
        -- SHA-256 of the secret, in hex. The secret itself is nowhere.
        hash text not null,
        -- Null for every tenant.
        tenant text collate "C",
        types json not null,
        actions json not null,
        created_at timestamptz not null,
        created_by text not null,
        not_before timestamptz,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz
      )`.execute(database);
    await sql`create index api_keys_by_tenant on api_keys (tenant, seq)`.execute(database);
  },
};
