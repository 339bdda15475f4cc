/**
 * Event data on its way into the database and out of it: the one place where columns are encrypted. A
 * statement is given `sealedJson` or `sealedText` for a value; the pool puts the encrypted text in its
 * place, and opens what comes back. Identities, numbers and times stay as they are.
 */
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import { TidegateError } from '../model/error.ts';
import { parseRunId, type RunId } from '../model/run.ts';

/** Encrypts and decrypts texts. */
export interface Sealing {
  /** In base64; undefined when nothing is to be encrypted. */
  seal(text: string, at: { readonly tenant: string; readonly purpose: string }): string | undefined;
  /** @throws TidegateError `encryption_key_unknown` · `payload_corrupt` */
  unseal(base64: string, purpose: string): string;
}

/** Without keys; what was encrypted before stays what it is, and cannot be read. */
export const NO_SEALING: Sealing = {
  seal: () => undefined,
  unseal: () => {
    throw new TidegateError(
      'encryption_key_unknown',
      'The journal has encrypted data and this process has no keys: set TIDEGATE_ENCRYPTION_KEYS, and restart.',
    );
  },
};

/** Columns that have event data in them, in whatever table. */
const JSON_COLUMNS = [
  'envelope',
  'errors',
  'input',
  'window',
  'result',
  'record',
  'question',
  'decision',
  'request',
] as const;
const TEXT_COLUMNS = ['body', 'reason', 'message'] as const;

/** What may have sealed data in it when it is read: those, and a whole row as JSON. */
const OPENED_COLUMNS: readonly string[] = [...JSON_COLUMNS, ...TEXT_COLUMNS, 'row'];

export type SealedColumn = (typeof JSON_COLUMNS)[number] | (typeof TEXT_COLUMNS)[number];

interface At {
  readonly tenant: string;
  readonly column: SealedColumn;
}
export type Seal = (text: string, at: At) => string;

const RENDER = Symbol('render');

/** A parameter that is made when its statement is sent. */
export const whenSent = (render: (seal: Seal) => string): string =>
  ({ [RENDER]: render }) as unknown as string;

/** A value for a column of JSON. */
export const sealedJson = (value: unknown, at: At): string =>
  whenSent((seal) => seal(JSON.stringify(value), at));

/** A value for a column of text. */
export const sealedText = (text: string, at: At): string => whenSent((seal) => seal(text, at));

/** The tenant of a run; empty for an id that is none. */
export const tenantOf = (run: RunId): string => parseRunId(run)?.tenant ?? '';

const SEALED = 'tidegate:sealed';
/** Around JSON of others that looks as if it were sealed. */
const CLEAR = 'tidegate:clear';

/** A pool that seals what is marked and opens what it reads. */
export const sealingPool = (pool: PostgresPool, sealing: Sealing): PostgresPool => ({
  end: () => pool.end(),
  connect: async () => {
    const client = await pool.connect();
    const query = async (statement: string, parameters: readonly unknown[]) => {
      const sent = parameters.map((parameter) => rendered(parameter, sealing));
      const result = await client.query(statement, sent);
      return { ...result, rows: openedRows(result.rows as readonly Row[], sealing) };
    };
    // Kysely calls it with a statement only: cursors are not configured.
    const untyped: unknown = query;
    return {
      query: untyped as PostgresPoolClient['query'],
      release: () => client.release(),
    };
  },
});

function rendered(parameter: unknown, sealing: Sealing): unknown {
  if (typeof parameter !== 'object' || parameter === null || !(RENDER in parameter)) {
    return parameter;
  }
  const render = parameter[RENDER] as (seal: Seal) => string;
  return render((text, { tenant, column }) => {
    const sealed = sealing.seal(text, { tenant, purpose: column });
    return isText(column) ? textOf(text, sealed) : jsonOf(text, sealed);
  });
}

const textOf = (text: string, sealed: string | undefined): string =>
  sealed === undefined
    ? text.replace(/^tidegate:sealed:/, 'tidegate sealed:')
    : `${SEALED}:${sealed}`;

function jsonOf(text: string, sealed: string | undefined): string {
  if (sealed !== undefined) return JSON.stringify({ [SEALED]: sealed });
  return /^\{"tidegate:(?:sealed|clear)":/.test(text) ? `{"${CLEAR}":${text}}` : text;
}

type Row = Readonly<Record<string, unknown>>;

/** Rows of one result have the same columns: most have none to open, and an append answers with a row per event. */
function openedRows(rows: readonly Row[], sealing: Sealing): readonly Row[] {
  const [first] = rows;
  const hasSome = first !== undefined && OPENED_COLUMNS.some((column) => column in first);
  return hasSome ? rows.map((row) => opened(row, sealing)) : rows;
}

function opened(row: Row, sealing: Sealing): Row {
  let open = row;
  for (const column of JSON_COLUMNS) {
    const value = row[column];
    if (!isObject(value)) continue;
    if (typeof value[SEALED] === 'string') {
      open = { ...open, [column]: JSON.parse(sealing.unseal(value[SEALED], column)) };
    } else if (CLEAR in value) open = { ...open, [column]: value[CLEAR] };
  }
  for (const column of TEXT_COLUMNS) {
    const value = row[column];
    if (typeof value !== 'string' || !value.startsWith(`${SEALED}:`)) continue;
    open = { ...open, [column]: sealing.unseal(value.slice(SEALED.length + 1), column) };
  }
  // A whole row as JSON, as the list of dead letters reads them.
  return isObject(row.row) ? { ...open, row: opened(row.row, sealing) } : open;
}

const isText = (column: SealedColumn): boolean => TEXT_COLUMNS.some((text) => text === column);

const isObject = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
