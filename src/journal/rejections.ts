import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import type { Rejection } from './deliveries.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedJson, sealedText } from './sealing.ts';
import { storable } from './text.ts';

/**
 * Keeps refused events, whatever is wrong with them: what PostgreSQL cannot store is replaced, what
 * is too long is cut. One that comes again raises its count and shows why it was refused last.
 */
export async function reject(
  database: JournalDatabase,
  rejections: readonly Rejection[],
): Promise<void> {
  if (rejections.length === 0) return;
  const byIdentity = new Map<string, { rejection: Rejection; count: number }>();
  for (const rejection of rejections) {
    const identity = identityOf(rejection);
    const count = (byIdentity.get(identity)?.count ?? 0) + 1;
    byIdentity.set(identity, { rejection, count });
  }
  // In a fixed order, so that two processes cannot lock each other's rows.
  const identities = [...byIdentity].sort(([a], [b]) => (a < b ? -1 : 1));
  await database
    .insertInto('rejections')
    .values(identities.map(([identity, { rejection, count }]) => row(identity, rejection, count)))
    .onConflict((conflict) =>
      conflict.column('identity').doUpdateSet((known) => ({
        type: known.ref('excluded.type'),
        code: known.ref('excluded.code'),
        message: known.ref('excluded.message'),
        errors: sql`excluded.errors`,
        body: known.ref('excluded.body'),
        is_ours: known.ref('excluded.is_ours'),
        // Whoever closed it did not know that it would come again.
        closed_at: null,
        closing: null,
        closed_by: null,
        count: sql<number>`rejections.count + excluded.count`,
      })),
    )
    .execute();
}

const identityOf = ({ tenant, source, id }: Rejection): string =>
  createHash('sha256')
    .update(JSON.stringify([tenant, source, id]))
    .digest('hex');

function row(identity: string, rejection: Rejection, count: number) {
  const { tenant, source, id, type, code, message, errors, body, isOurs = false } = rejection;
  const attribute = (text: string) => storable(text, LIMITS.attributeCharactersMax);
  return {
    identity,
    tenant: attribute(tenant),
    source: attribute(source),
    id: attribute(id),
    type: type === undefined ? null : attribute(type),
    code,
    message: sealedText(storable(message), { tenant, column: 'message' }),
    errors: errors === undefined ? null : sealedJson(errors, { tenant, column: 'errors' }),
    body: sealedText(storable(body, LIMITS.eventBytesMax), { tenant, column: 'body' }),
    is_ours: isOurs,
    count,
  };
}
