import { type Selectable, sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import type { Journal } from './journal.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import type { ApiKeyRow, Page, Paged, StoredApiKey } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { isStorable } from './text.ts';

type ApiKeys = Journal['apiKeys'];
type Columns = Selectable<JournalTables['api_keys']>;

/** API keys, with hashes of their secrets. */
export const apiKeysOf = (database: JournalDatabase): ApiKeys => ({
  create: async (key) => {
    const row = await database
      .insertInto('api_keys')
      .values({
        id: key.id,
        name: key.name,
        hash: key.hash,
        tenant: key.tenant,
        types: JSON.stringify(key.types),
        actions: JSON.stringify(key.actions),
        created_at: key.createdAt,
        created_by: key.createdBy,
        not_before: key.notBefore ?? null,
        expires_at: key.expiresAt ?? null,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return apiKeyRow(row);
  },
  list: (filter, page) => list(database, filter, page),
  find: async (id) => {
    if (!isStorable(id)) return undefined;
    const row = await database
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst();
    return row === undefined ? undefined : stored(row);
  },
  replace: (id, by) => replace(database, id, by),
  revoke: async (id, at) => {
    const row = await database
      .updateTable('api_keys')
      .set({ revoked_at: sql<Date>`coalesce(revoked_at, ${at}::timestamptz)` })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    return row === undefined ? undefined : apiKeyRow(row);
  },
  markUsed: async (id, at) => {
    const before = new Date(at.getTime() - LIMITS.apiKeyUseMs);
    await database
      .updateTable('api_keys')
      .set({ last_used_at: at })
      .where('id', '=', id)
      // Each process notes it for itself.
      .where((where) =>
        where.or([where('last_used_at', 'is', null), where('last_used_at', '<=', before)]),
      )
      .execute();
  },
});

/** The newest first. */
async function list(
  database: JournalDatabase,
  { tenant }: Parameters<ApiKeys['list']>[0],
  page: Page,
): Promise<Paged<ApiKeyRow>> {
  if (!isStorable(tenant ?? '')) return { rows: [] };
  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('api_keys')
    .selectAll()
    .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute();
  return paged(rows, limit, { cursor: ({ seq }) => String(seq), row: apiKeyRow });
}

/** In one statement, so that no key ends without the one that replaces it, and none is replaced twice over. */
async function replace(
  database: JournalDatabase,
  id: string,
  by: Parameters<ApiKeys['replace']>[1],
): Promise<ApiKeyRow | undefined> {
  const { rows } = await sql<Columns>`
    with old as (
      update api_keys
      set expires_at = least(expires_at, ${by.oldUntil}::timestamptz)
      where id = ${id} and revoked_at is null
        and (expires_at is null or expires_at > ${by.createdAt}::timestamptz)
      returning name, tenant, types, actions
    )
    insert into api_keys (id, name, hash, tenant, types, actions, created_at, created_by, expires_at)
    select ${by.id}, name, ${by.hash}, tenant, types, actions,
      ${by.createdAt}::timestamptz, ${by.createdBy}, ${by.expiresAt ?? null}::timestamptz
    from old
    returning *`.execute(database);
  return rows[0] && apiKeyRow(rows[0]);
}

const apiKeyRow = (row: Columns): ApiKeyRow => ({
  id: row.id,
  name: row.name,
  tenant: row.tenant,
  types: row.types,
  actions: row.actions,
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
  ...(row.not_before && { notBefore: row.not_before.toISOString() }),
  ...(row.expires_at && { expiresAt: row.expires_at.toISOString() }),
  ...(row.revoked_at && { revokedAt: row.revoked_at.toISOString() }),
  ...(row.last_used_at && { lastUsedAt: row.last_used_at.toISOString() }),
});

const stored = (row: Columns): StoredApiKey => ({ ...apiKeyRow(row), hash: row.hash });
