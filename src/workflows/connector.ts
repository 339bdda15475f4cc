import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { OperationsOf } from '../model/connector.ts';
import { ERROR_CLASSES, messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import {
  OPERATION_ATTEMPT_MS_MAX,
  OPERATION_HEARTBEAT_MS,
  type OperationCall,
} from '../model/protocol.ts';
import { showStage } from './details.ts';
import { aborted, type FailureSummary, failureOf, isBug, summaryOf } from './failure.ts';
import { keepOutcome, outcomeOf } from './outcomes.ts';
import { isCarriedPark, type ParkReason, parkAt } from './park.ts';
import { activeStep, currentRun, nextStep, type RunInWindow, takeResuming } from './run-scope.ts';

type OperationActivities = Record<string, (call: OperationCall) => Promise<Json>>;

// The activity itself decides whether and when it is tried again (it knows the connector's policy);
// Temporal only has to notice a dead worker, by the missing heartbeat.
const operations = proxyActivities<OperationActivities>({
  startToCloseTimeout: OPERATION_ATTEMPT_MS_MAX,
  heartbeatTimeout: OPERATION_HEARTBEAT_MS,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  // What is cancelled must have ended before it is undone. (The SDK's default is TRY_CANCEL, whatever
  // its documentation says.)
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/**
 * A connector as a flow sees it: its operations, each call an activity with its own idempotency key,
 * retried as the connector says. A call that a person can help waits for one at this very step, and
 * nothing before it is repeated. A call that nobody can help (`fatal`) throws.
 *
 * @throws ApplicationFailure whose `type` is the error class, when the failure is fatal or a person
 * decided to abort.
 * @example
 * ```ts
 * import type { crmConnector } from '../connectors';
 * import { connector } from 'tidegate/flow';
 * export const crm = connector<typeof crmConnector>('crm');
 * ```
 */
export function connector<Connector>(name: string): OperationsOf<Connector> {
  const proxy = new Proxy(
    {},
    {
      get: (_, operation) =>
        typeof operation === 'string' && operation !== 'then'
          ? (input: Json) => callOperation(name, operation, input)
          : undefined,
    },
  );
  return proxy as OperationsOf<Connector>;
}

async function callOperation(name: string, operation: string, input: Json): Promise<Json> {
  const activity = `${name}.${operation}`;
  const scope = currentRun(activity);
  const step = nextStep(scope.window, activity);
  const done = scope.window.steps.get(step);
  if (done !== undefined) return done;
  const failed = outcomeOf(scope.window, step) as FailedOperation | undefined;
  if (failed !== undefined) throw failureOf(failed.error);

  try {
    const result = await activeStep(scope, () =>
      untilDone(scope, step, { name, operation, input }),
    );
    scope.window.steps.set(step, result ?? null);
    return result;
  } catch (error) {
    if (!isCancellation(error) && !isBug(error)) {
      const failure: FailedOperation = { status: 'failed', error: summaryOf(error) };
      keepOutcome(scope.window, step, failure);
    }
    throw error;
  }
}

/** A failure that the flow may have gone on from: the body meets it again after continue-as-new. */
interface FailedOperation {
  readonly status: 'failed';
  readonly error: FailureSummary;
}

async function untilDone(
  scope: RunInWindow,
  step: string,
  call: { readonly name: string; readonly operation: string; readonly input: Json },
): Promise<Json> {
  const resuming = takeResuming(scope.window, step);
  let why: ParkReason | undefined = isCarriedPark(resuming) ? resuming : undefined;
  for (;;) {
    if (why !== undefined) {
      const decision = await parkAt(scope, step, why);
      if (decision.action === 'skip') return decision.input ?? null;
      if (decision.action === 'abort') throw aborted(step, why, decision.reason);
    }
    try {
      return await attempt(scope, step, call);
    } catch (error) {
      why = parkReason(error);
    }
  }
}

function attempt(
  scope: RunInWindow,
  step: string,
  call: { readonly name: string; readonly operation: string; readonly input: Json },
): Promise<Json> {
  const activity = `${call.name}.${call.operation}`;
  const { run, tenant, key } = scope.input;
  const { event, number } = scope.window.first;
  const replay = event.replay === undefined ? '' : `/${event.replay}`;
  showStage(scope, 'running', `calling ${activity}`);
  const schedule = operations[activity];
  if (schedule === undefined) throw new Error(`no activity ${activity}`);
  const mark = scope.inHistory.mark();
  const result = schedule.executeWithOptions({ summary: `for ${key}`.slice(0, 200) }, [
    {
      connector: call.name,
      operation: call.operation,
      input: call.input ?? null,
      idempotencyKey: `${run}/${number}/${step}${replay}`,
      run,
      tenant,
      correlationId: event.correlationid,
    },
  ]);
  // Beside what waits for it: branches must go on in the same order in a replay.
  result.then(
    () => scope.inHistory.through(mark),
    () => {},
  );
  return result;
}

/** Why a person is asked. Throws what a person cannot help. */
function parkReason(error: unknown): ParkReason {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) {
    // A timeout of the activity itself: whether the call happened is not known.
    return { errorClass: 'unknown', reason: messageOf(cause) };
  }
  const errorClass = ERROR_CLASSES.find((known) => known === cause.type);
  if (errorClass === 'fatal') throw cause;
  return { errorClass: errorClass ?? 'unknown', reason: messageOf(cause) };
}
