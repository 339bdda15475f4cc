import {
  type Client,
  isGrpcServiceError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { messageOf, TidegateError } from '../model/error.ts';
import {
  DECIDE_UPDATE,
  type Decision,
  type DecisionReceipt,
  RUN_QUERY,
  type RunView,
} from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';

/** What the operator API asks of a run itself. */
export interface RunOperations {
  /** What the run is doing; undefined when it has ended or does not answer within two seconds. */
  view(run: RunId): Promise<RunView | undefined>;
  /**
   * Hands a decision to a waiting run. The same `updateId` twice gives the first answer again.
   *
   * @throws TidegateError `run_not_waiting` · `decision_invalid` · `temporal_unavailable`, after
   * which the decision may or may not have been taken: send it again with the same `updateId`
   */
  decide(run: RunId, decision: Decision, updateId: string): Promise<DecisionReceipt>;
}

const VIEW_MS_MAX = 2_000;
const DECIDE_MS_MAX = 5_000;

/**
 * Run operations over a Temporal client.
 *
 * @param clientOfRun gives the client of the namespace that a run is in. Default: all are in one.
 */
export function temporalRunOperations(
  anywhere: Client,
  clientOfRun: (run: RunId) => Promise<Client> = async () => anywhere,
): RunOperations {
  return {
    async view(run) {
      try {
        const client = await clientOfRun(run);
        const handle = client.workflow.getHandle(run);
        return await within(VIEW_MS_MAX, () => handle.query<RunView>(RUN_QUERY));
      } catch {
        // The journal's row says enough without it: ended, not begun, no worker, Temporal away.
        return undefined;
      }
    },
    async decide(run, decision, updateId) {
      const client = await clientOfRun(run);
      const handle = client.workflow.getHandle(run);
      try {
        return await within(DECIDE_MS_MAX, () =>
          handle.executeUpdate<DecisionReceipt, [Decision]>(DECIDE_UPDATE, {
            args: [decision],
            updateId,
          }),
        );
      } catch (error) {
        throw decideError(run, error);
      }
    },
  };
}

/** Each call to Temporal has its deadline, and an update is several: a timer ends the wait for all of them. */
async function within<Result>(ms: number, call: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(noAnswer(ms)), ms);
  });
  try {
    return await Promise.race([call(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

const noAnswer = (ms: number): TidegateError =>
  new TidegateError('temporal_unavailable', `Temporal did not answer within ${ms} ms.`);

function decideError(run: RunId, error: unknown): unknown {
  if (error instanceof WorkflowNotFoundError) {
    return new TidegateError(
      'run_not_waiting',
      `The run ${run} is not running, so it waits for nothing.`,
      {
        cause: error,
      },
    );
  }
  if (error instanceof WorkflowUpdateFailedError) return refusal(run, error);
  if (
    TidegateError.is(error, 'temporal_unavailable') ||
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
    error instanceof ServiceError ||
    isGrpcServiceError(error)
  ) {
    return unavailable(run, error);
  }
  return error;
}

/** The run answered, and not with a receipt. */
function refusal(run: RunId, error: WorkflowUpdateFailedError): TidegateError {
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) return unavailable(run, error);
  switch (cause.type) {
    case 'run_not_waiting':
    case 'decision_invalid':
      return new TidegateError(cause.type, messageOf(cause), { cause: error });
    // The execution ended while the decision was on its way.
    case 'AcceptedUpdateCompletedWorkflow':
      return unavailable(run, error);
    default:
      return new TidegateError(
        'internal_error',
        `The run ${run} failed on this decision; its history in Temporal has the details.`,
        { cause: error },
      );
  }
}

const unavailable = (run: RunId, error: unknown): TidegateError =>
  new TidegateError(
    'temporal_unavailable',
    `The run ${run} did not answer: Temporal or its worker is away. The decision may have been taken; sending it again is safe.`,
    { cause: error },
  );
