/**
 * What connectors write is kept before it goes out: the webhook that tells of it may be back before the
 * call has returned.
 */
import { operationError, problemOf } from '../connectors/operation-error.ts';
import type { Journal } from '../journal/journal.ts';
import { changeProblem, type ObjectChange } from '../model/change.ts';
import type { BoundConnector, Operation } from '../model/connector.ts';
import { durationMs } from '../model/duration.ts';
import { messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { OperationCall } from '../model/protocol.ts';

export type WriteJournal = Pick<Journal, 'recordWrite' | 'withdrawWrite'>;

/** What an operation says that it writes. */
export interface DeclaredWrites {
  /** @throws TidegateError `operation_failed`, when the connector's code does not say it right. */
  readonly changeOf: (input: Json) => ObjectChange | undefined;
  readonly echoMs: number;
}

/** What an operation writes, if it says so; a fake writes nothing that could come back. */
export function declaredWrites(
  { name, mode }: BoundConnector,
  { writes, echoWithin }: Operation<never, never, unknown>,
): { readonly writes?: DeclaredWrites } {
  if (writes === undefined || mode === 'fake') return {};
  return {
    writes: {
      changeOf: (input) => changeOf(name, () => writes(input as never)),
      echoMs:
        echoWithin === undefined ? LIMITS.echoMs : durationMs(echoWithin, `echoWithin of ${name}`),
    },
  };
}

function changeOf(
  connector: string,
  writes: () => ReturnType<NonNullable<Operation<never, never, unknown>['writes']>>,
): ObjectChange | undefined {
  let change: ReturnType<typeof writes>;
  try {
    change = writes();
  } catch (error) {
    throw operationError('fatal', `its \`writes\` threw: ${messageOf(error)}. Mend the connector`);
  }
  if (change === undefined) return undefined;
  const problem = changeProblem(change);
  if (problem !== undefined) {
    throw operationError('fatal', `what its \`writes\` returned ${problem}. Mend the connector`);
  }
  return { system: connector, ...change };
}

/** Keeps what an attempt is about to write. The attempt is not made when the journal does not take it. */
export async function recordWrite(
  writes: DeclaredWrites | undefined,
  { connector, operation, input, idempotencyKey, run, tenant }: OperationCall,
  journal: WriteJournal | undefined,
): Promise<void> {
  if (writes === undefined || journal === undefined) return;
  const change = writes.changeOf(input);
  if (change === undefined) return;
  const { echoMs } = writes;
  const write = { idempotencyKey, tenant, run, change, echoMs };
  try {
    await journal.recordWrite({ ...write, operation: `${connector}.${operation}` });
  } catch (error) {
    throw operationError('transient', `cannot note what it writes: ${messageOf(error)}`);
  }
}

/**
 * Forgets what an attempt that is the first one was to write, when it was refused for sure: a person who
 * then makes the same change is heard.
 */
export async function withdrawWrite(
  writes: DeclaredWrites | undefined,
  { idempotencyKey }: OperationCall,
  error: unknown,
  journal: WriteJournal | undefined,
): Promise<void> {
  const problem = problemOf(error);
  if (writes === undefined || problem === undefined || problem.mayHaveHappened) return;
  if (problem.errorClass !== 'fatal' && problem.errorClass !== 'persistent') return;
  // Else it is forgotten when its time is over.
  await journal?.withdrawWrite(idempotencyKey).catch(() => undefined);
}
