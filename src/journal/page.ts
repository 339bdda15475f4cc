import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Page, Paged } from './rows.ts';

const PAGE_ROWS_DEFAULT = 50;

export const pageLimit = ({ limit }: Page): number =>
  Math.min(Math.max(1, Math.trunc(limit ?? PAGE_ROWS_DEFAULT)), LIMITS.pageRowsMax);

/** The number after which a page of a numbered list begins. */
export function numberCursor({ after }: Page): number | undefined {
  if (after === undefined) return undefined;
  if (!/^\d{1,15}$/.test(after)) throw invalidCursor();
  return Number(after);
}

export const invalidCursor = (): TidegateError =>
  new TidegateError(
    'query_invalid',
    'the cursor is not one that a page of this list gave; leave it out to begin at the first page.',
  );

/** A page of rows of which one more than the limit was read, to know whether there is a next one. */
export function paged<Row, Shown>(
  rows: readonly Row[],
  limit: number,
  as: { readonly cursor: (row: Row) => string; readonly row: (row: Row) => Shown },
): Paged<Shown> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { rows: shown.map(as.row), ...(more && { next: as.cursor(last) }) };
}
