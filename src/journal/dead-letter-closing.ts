import type { Closed, Closing } from './rows.ts';

/** How a row was closed; undefined while it is open. */
export function closedOf(row: {
  readonly closed_at: Date | string | null;
  readonly closing: Closing | null;
  readonly closed_by: string | null;
}): Closed | undefined {
  if (row.closed_at === null || row.closing === null) return undefined;
  return {
    at: new Date(row.closed_at).toISOString(),
    how: row.closing,
    ...(row.closed_by !== null && { by: row.closed_by }),
  };
}
