/**
 * Who did what to what, when and why. Append-only: this is the one file of the program that names the
 * table, and it has no statement that changes or deletes an entry.
 */
import type { Selectable } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import type { Audit, AuditEntry, AuditFilter, AuditRow } from './audit-log.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import type { Page, Paged } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { sealedText } from './sealing.ts';
import { isStorable, storable } from './text.ts';

export const auditOf = (database: JournalDatabase): Audit => ({
  record: (entry) => recordAudit(database, entry),
  list: (filter, page) => listAudit(database, filter, page),
});

/** Writes an entry, in the transaction of what it tells of where there is one. */
export async function recordAudit(database: JournalDatabase, entry: AuditEntry): Promise<void> {
  const { actor, action, target, tenant, reason, details, act } = entry;
  await database
    .insertInto('audit')
    .values({
      actor: storable(actor, LIMITS.attributeCharactersMax),
      action: storable(action, LIMITS.attributeCharactersMax),
      target: storable(target),
      tenant: tenant === undefined ? null : storable(tenant, LIMITS.attributeCharactersMax),
      reason:
        reason === undefined
          ? null
          : sealedText(storable(reason), { tenant: tenant ?? '', column: 'reason' }),
      details: details === undefined ? null : JSON.stringify(details),
      act: act ?? null,
    })
    .onConflict((conflict) => conflict.column('act').doNothing())
    .execute();
}

async function listAudit(
  database: JournalDatabase,
  { from, to, ...equal }: AuditFilter,
  page: Page,
): Promise<Paged<AuditRow>> {
  const wanted = Object.entries(equal).filter(
    (entry): entry is [keyof typeof equal, string] => entry[1] !== undefined,
  );
  if (!wanted.every(([, value]) => isStorable(value))) return { rows: [] };
  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('audit')
    .selectAll()
    .where((where) => where.and(wanted.map(([column, value]) => where(column, '=', value))))
    .$if(from !== undefined, (query) => query.where('at', '>=', new Date(from ?? '')))
    .$if(to !== undefined, (query) => query.where('at', '<', new Date(to ?? '')))
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute();
  return paged(rows, limit, { cursor: ({ seq }) => String(seq), row: auditRow });
}

const auditRow = (row: Selectable<JournalTables['audit']>): AuditRow => ({
  at: row.at.toISOString(),
  actor: row.actor,
  action: row.action,
  target: row.target,
  ...(row.tenant !== null && { tenant: row.tenant }),
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.details !== null && { details: row.details }),
});
