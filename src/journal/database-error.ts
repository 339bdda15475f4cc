import { messageOf, TidegateError } from '../model/error.ts';

/**
 * SQLSTATE classes that say nothing about the statement: the server is out of reach, shutting down,
 * out of resources, read-only after a failover, or had to break a deadlock.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE_CLASSES = new Set(['08', '25', '28', '3D', '40', '53', '55', '57', '58', 'XX']);
/** Data exceptions and program limits: the values are at fault. */
const DATA_CLASSES = new Set(['22', '54']);

/**
 * What a database driver threw, as a TidegateError without anything of the statement's values:
 * `journal_unavailable` when the same call may succeed later, else `internal_error` with the
 * `sqlState`. Errors of the program itself stay what they are.
 */
export function databaseError(error: unknown): unknown {
  if (TidegateError.is(error)) return error;
  if (error instanceof TypeError || error instanceof RangeError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === undefined || UNAVAILABLE_CLASSES.has(sqlState.slice(0, 2))) {
    return unavailable(messageOf(error), sqlState === undefined ? {} : { sqlState });
  }
  const about = DATA_CLASSES.has(sqlState.slice(0, 2)) ? 'the values in it' : messageOf(error);
  return new TidegateError(
    'internal_error',
    `the journal's database refused a statement because of ${about} (SQLSTATE ${sqlState}).`,
    { details: { sqlState } },
  );
}

/** The journal cannot be reached or cannot answer now. */
export function unavailable(
  why: string,
  details: Readonly<Record<string, unknown>> = {},
): TidegateError {
  return new TidegateError(
    'journal_unavailable',
    `the journal's database does not answer: ${why}. Nothing is lost that was acknowledged; try again, and check that PostgreSQL at DATABASE_URL is up.`,
    { details },
  );
}

/** Whether the database refused values, so that the same call cannot succeed later. */
export function isDataError(error: unknown): boolean {
  if (!TidegateError.is(error, 'internal_error')) return false;
  const { sqlState } = error.details;
  return typeof sqlState === 'string' && DATA_CLASSES.has(sqlState.slice(0, 2));
}

function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  // Five letters without a digit are an error of the system, such as EPIPE.
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
