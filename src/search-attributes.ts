/** The search attributes that every run sets, in the namespace that it is in. */
import { type Connection, isGrpcServiceError, isRetryableError } from '@temporalio/client';
import { messageOf, TidegateError } from './model/error.ts';
import { SEARCH_ATTRIBUTES } from './model/protocol.ts';

const INDEXED_VALUE_TYPE_KEYWORD = 2;
/** https://grpc.io/docs/guides/status-codes/ */
const GRPC = {
  deadlineExceeded: 4,
  alreadyExists: 6,
  permissionDenied: 7,
  unimplemented: 12,
} as const;

/**
 * Registers the search attributes where they are missing. A Temporal that does not allow this call
 * needs an administrator to add them (docs/operating/running.md).
 *
 * @returns `unchecked` when the caller may not even list them, so that nothing is known.
 * @throws TidegateError `temporal_unavailable` when Temporal does not answer · `config_invalid` when
 * one exists with another type, or cannot be added.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<'registered' | 'unchecked'> {
  try {
    return await addMissing(connection, namespace);
  } catch (error) {
    if (TidegateError.is(error)) throw error;
    if (isAway(error)) {
      throw new TidegateError(
        'temporal_unavailable',
        `Temporal does not answer: ${messageOf(error)}. Check that it runs and that TEMPORAL_ADDRESS names it.`,
        { cause: error },
      );
    }
    throw new TidegateError(
      'config_invalid',
      `Temporal refuses to register the search attributes ${NAMES.join(', ')} (Keyword) in the namespace ${namespace}: ${messageOf(error)}. Check TEMPORAL_NAMESPACE, or add them by hand (docs/operating/running.md).`,
      { cause: error },
    );
  }
}

const NAMES = Object.values(SEARCH_ATTRIBUTES);

async function addMissing(
  connection: Connection,
  namespace: string,
): Promise<'registered' | 'unchecked'> {
  const found = await listed(connection, namespace);
  if (found === undefined) return 'unchecked';
  const wrong = NAMES.filter(
    (name) => (found[name] ?? INDEXED_VALUE_TYPE_KEYWORD) !== INDEXED_VALUE_TYPE_KEYWORD,
  );
  if (wrong.length > 0) {
    throw new TidegateError(
      'config_invalid',
      `The Temporal namespace ${namespace} has the search attributes ${wrong.join(', ')} with another type than Keyword. Use another namespace.`,
    );
  }
  const missing = NAMES.filter((name) => found[name] === undefined);
  if (missing.length === 0) return 'registered';
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]),
      ),
    });
  } catch (error) {
    // Another process of ours was faster.
    if (!hasCode(error, GRPC.alreadyExists)) throw error;
  }
  return 'registered';
}

/** The types of the namespace's search attributes; undefined when the caller may not see them. */
async function listed(
  connection: Connection,
  namespace: string,
): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace,
    });
    return customAttributes;
  } catch (error) {
    if (hasCode(error, GRPC.permissionDenied, GRPC.unimplemented)) return undefined;
    throw error;
  }
}

const hasCode = (error: unknown, ...codes: readonly number[]): boolean =>
  isGrpcServiceError(error) && codes.includes(error.code);

const isAway = (error: unknown): boolean =>
  isGrpcServiceError(error) && (isRetryableError(error) || hasCode(error, GRPC.deadlineExceeded));
