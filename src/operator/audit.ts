import { once } from 'node:events';
import type { Request, Response } from 'express';
import type { AuditFilter, AuditRow } from '../journal/audit-log.ts';
import type { Journal } from '../journal/journal.ts';
import type { Page } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { listQuery } from './handler.ts';

export const AUDIT_FORMATS = ['json', 'ndjson', 'csv'] as const;

/** `GET /audit`: who did what to what, when and why; the newest first, as a page or as a whole. */
export const showAudit =
  ({ audit }: Pick<Journal, 'audit'>) =>
  async (request: Request, response: Response): Promise<void> => {
    const { filter, page } = listQuery(
      request,
      ['actor', 'action', 'target', 'tenant', 'from', 'to', 'format'],
      { format: AUDIT_FORMATS },
    );
    const { format = 'json', ...wanted } = filter;
    assertTimes(wanted);
    const as = format as (typeof AUDIT_FORMATS)[number];
    switch (as) {
      case 'json':
        response.json(await audit.list(wanted, page));
        break;
      case 'ndjson':
        await send(response, 'application/x-ndjson', ndjson(everyRow(audit, wanted)));
        break;
      case 'csv':
        await send(
          response,
          'text/csv; charset=utf-8; header=present',
          csv(everyRow(audit, wanted)),
        );
        break;
      default:
        as satisfies never;
    }
  };

/** RFC 3339 with an offset, as everywhere; a date alone is one too. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))?$/;

function assertTimes({ from, to }: Pick<AuditFilter, 'from' | 'to'>): void {
  const errors = Object.entries({ from, to }).flatMap(([path, text]) =>
    text === undefined || (TIME.test(text) && !Number.isNaN(Date.parse(text)))
      ? []
      : [{ path, message: 'must be an RFC 3339 time, such as 2026-11-21T08:00:00Z' }],
  );
  if (errors.length === 0) return;
  throw new TidegateError('query_invalid', 'from and to are times.', { details: { errors } });
}

/** Entries that are written meanwhile are newer than the first page, so they are in no export. */
async function* everyRow(
  audit: Journal['audit'],
  filter: AuditFilter,
): AsyncGenerator<readonly AuditRow[]> {
  let page: Page = { limit: LIMITS.pageRowsMax };
  for (;;) {
    const { rows, next } = await audit.list(filter, page);
    yield rows;
    if (next === undefined) return;
    page = { limit: LIMITS.pageRowsMax, after: next };
  }
}

/** As fast as the reader reads. The first page is read before the status is sent. */
async function send(
  response: Response,
  type: string,
  chunks: AsyncGenerator<string>,
): Promise<void> {
  for await (const chunk of chunks) {
    if (!response.headersSent) response.type(type);
    if (response.destroyed) return;
    if (!response.write(chunk))
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}

async function* ndjson(pages: AsyncGenerator<readonly AuditRow[]>): AsyncGenerator<string> {
  for await (const rows of pages) yield rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

const COLUMNS = ['at', 'actor', 'action', 'target', 'tenant', 'reason', 'details'] as const;

async function* csv(pages: AsyncGenerator<readonly AuditRow[]>): AsyncGenerator<string> {
  yield csvLine(COLUMNS);
  for await (const rows of pages) {
    yield rows
      .map((row) =>
        csvLine(
          COLUMNS.map((column) =>
            column === 'details' && row.details !== undefined
              ? JSON.stringify(row.details)
              : String(row[column] ?? ''),
          ),
        ),
      )
      .join('');
  }
}

/** A line of CSV (RFC 4180). */
export const csvLine = (fields: readonly string[]): string =>
  `${fields.map(csvField).join(',')}\r\n`;

/**
 * A field that spreadsheets would take for a formula is led by an apostrophe: reasons and actors are
 * text from outside. https://owasp.org/www-community/attacks/CSV_Injection
 */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
