import { Context } from '@temporalio/activity';
import {
  ApplicationFailure,
  ApplicationFailureCategory,
  CancelledFailure,
} from '@temporalio/common';
import { withoutTokens } from '../approvals/token.ts';
import { type RetryPolicy, retryPolicy } from '../connectors/backoff.ts';
import { afterEffect } from '../connectors/error-class.ts';
import { operationError, problemOf } from '../connectors/operation-error.ts';
import type { BoundConnector, Operation, OperationProblem } from '../model/connector.ts';
import { durationMs, formatDuration } from '../model/duration.ts';
import { messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import {
  OPERATION_ATTEMPT_MS_MAX,
  OPERATION_HEARTBEAT_MS,
  type OperationCall,
  type OperationFailureDetails,
} from '../model/protocol.ts';
import { type WriteLinks, withoutLinks } from './approval-links.ts';
import {
  type AttemptLedger,
  closeLedger,
  elapsedMs,
  lostAttempt,
  openLedger,
} from './attempt-ledger.ts';
import { decideRetry, type RetryDecision } from './decide-retry.ts';
import { jsonResult } from './json-result.ts';
import {
  type DeclaredWrites,
  declaredWrites,
  recordWrite,
  type WriteJournal,
  withdrawWrite,
} from './kept-writes.ts';

export interface OperationDependencies {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly logger: OperationLogger;
  /** Puts approval links in place of references to them. @default references stay */
  readonly writeLinks?: WriteLinks;
  /** Where writes are kept, so that their echoes are known. @default echoes are not known */
  readonly journal?: WriteJournal;
}

/** Of pino's logger, what is used here. */
export interface OperationLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export type OperationActivity = (call: OperationCall) => Promise<Json>;

/**
 * The Temporal activities of connectors, by `<connector>.<operation>`, and one named `default` that
 * Temporal runs for every other name.
 *
 * An activity runs one attempt and decides what follows a failure, so its retry policy must leave the
 * number of attempts open: a failure that may be tried again carries its delay, a final one is not
 * retryable. Either has the error class as `type` and `OperationFailureDetails` in `details`.
 */
export function operationActivities(
  connectors: readonly BoundConnector[],
  dependencies: OperationDependencies,
): Readonly<Record<string, OperationActivity>> {
  const activities = connectors.flatMap((connector) =>
    connector.operations.flatMap((name) => {
      const options = connector.operation(name);
      if (options === undefined) return [];
      const target = targetOf(connector, options);
      const activity: OperationActivity = (call) => attempt(target, call, dependencies);
      return [[`${connector.name}.${name}`, activity] as const];
    }),
  );
  const unknown: OperationActivity = (call) => attempt(UNKNOWN_OPERATION, call, dependencies);
  return Object.fromEntries([['default', unknown] as const, ...activities]);
}

/** What one attempt needs to know of its operation. */
interface Target {
  readonly effect: Pick<Operation<never, never, unknown>, 'effect' | 'repeatable'>;
  readonly timeoutMs: number;
  readonly policy: RetryPolicy;
  readonly run: (call: OperationCall, attempt: number, signal: AbortSignal) => Promise<unknown>;
  /** What a call writes to the outside system; undefined when that is not to be kept. */
  readonly writes?: DeclaredWrites;
}

/** Our own timeout comes first: Temporal's would not say what was waited for. */
const TIMEOUT_MARGIN_MS = 5_000;

const targetOf = (
  connector: BoundConnector,
  operation: Operation<never, never, unknown>,
): Target => ({
  effect: { effect: operation.effect, repeatable: operation.repeatable ?? true },
  timeoutMs: Math.min(
    durationMs(operation.timeout, `timeout of ${connector.name}`),
    OPERATION_ATTEMPT_MS_MAX - TIMEOUT_MARGIN_MS,
  ),
  policy: retryPolicy(operation.retry, connector.retry),
  ...declaredWrites(connector, operation),
  run: ({ operation, input, idempotencyKey, run, tenant, correlationId }, attempt, signal) =>
    connector.run(operation, input, {
      idempotencyKey,
      attempt,
      run,
      tenant,
      correlationId,
      signal,
    }),
});

/** While workers are replaced one by one, one of them may know the operation already. */
const UNKNOWN_OPERATION: Target = {
  effect: { effect: 'read' },
  timeoutMs: 1_000,
  policy: { attempts: 100, initialMs: 2_000, maxMs: 10_000, withinMs: 120_000 },
  run: async () => {
    throw operationError(
      'transient',
      `this worker has no operation ${Context.current().info.activityType}: export its connector from connectors.ts, or start a worker that has it`,
    );
  },
};

interface BegunAttempt {
  readonly ledger: AttemptLedger;
  /** Of a clock that nobody sets. */
  readonly begunAt: number;
}

async function attempt(
  target: Target,
  call: OperationCall,
  dependencies: OperationDependencies,
): Promise<Json> {
  const { info } = Context.current();
  const ledger = openLedger(info, dependencies.now());
  const begun = { ledger, begunAt: performance.now() };
  const before = refusal(target, ledger, info.attempt);
  if (before !== undefined) throw failure(target, call, { ...begun, error: before }, dependencies);
  const watch = watchAttempt(call, target.timeoutMs, ledger);
  try {
    const input = (await dependencies.writeLinks?.(call.input)) ?? call.input;
    await recordWrite(target.writes, { ...call, input }, dependencies.journal);
    const result = await target.run({ ...call, input }, info.attempt, watch.signal);
    return withoutLinks(jsonResult(result));
  } catch (error) {
    if (watch.cancelled()) throw cancellation(target, call, begun, dependencies);
    const isFirst = info.attempt - ledger.free === 1;
    if (isFirst) await withdrawWrite(target.writes, call, error, dependencies.journal);
    throw failure(target, call, { ...begun, error }, dependencies);
  } finally {
    watch.end();
  }
}

/** Why this attempt must not be made at all. */
function refusal(target: Target, ledger: AttemptLedger, attempt: number): Error | undefined {
  if (!lostAttempt(ledger, attempt)) return undefined;
  const lost = 'a worker died during an earlier attempt, which may have been carried out';
  if (
    afterEffect({ errorClass: 'transient', mayHaveHappened: true }, target.effect) === 'unknown'
  ) {
    return operationError('unknown', lost, { mayHaveHappened: true });
  }
  // A call that kills its worker each time would go on for ever: no failure of it is ever reported.
  return attempt - ledger.free > target.policy.attempts
    ? operationError('transient', lost, { mayHaveHappened: true })
    : undefined;
}

/** Heartbeats and one signal for everything that ends an attempt early, until `end`. */
function watchAttempt(call: OperationCall, timeoutMs: number, ledger: AttemptLedger) {
  const context = Context.current();
  const controller = new AbortController();
  const { cancellationSignal } = context;
  const onCancel = () => controller.abort(cancellationSignal.reason);
  const timer = setTimeout(() => {
    const name = `${call.connector}.${call.operation}`;
    const message = `${name} gave no answer within ${formatDuration(timeoutMs)}`;
    controller.abort(operationError('transient', message, { mayHaveHappened: true }));
  }, timeoutMs);
  // None at once: most operations have ended by then, and each is a write and a billed action of Temporal's.
  const heartbeats = setInterval(() => context.heartbeat(ledger), OPERATION_HEARTBEAT_MS / 3);
  if (cancellationSignal.aborted) onCancel();
  else cancellationSignal.addEventListener('abort', onCancel, { once: true });
  return {
    signal: controller.signal,
    cancelled: () => cancellationSignal.aborted,
    end: () => {
      clearTimeout(timer);
      clearInterval(heartbeats);
      cancellationSignal.removeEventListener('abort', onCancel);
    },
  };
}

/** What an attempt that was told to stop reports: the run's end, or a stop of this worker only. */
function cancellation(
  target: Target,
  call: OperationCall,
  begun: BegunAttempt,
  dependencies: OperationDependencies,
): Error {
  const { cancellationSignal, cancellationDetails } = Context.current();
  const details = cancellationDetails;
  const reason: unknown = cancellationSignal.reason;
  const cancelled = reason instanceof CancelledFailure ? reason : new CancelledFailure('CANCELLED');
  const comesAgain =
    cancelled.message === 'WORKER_SHUTDOWN' || details?.paused === true || details?.reset === true;
  if (!comesAgain) return cancelled;

  const stopped = { errorClass: 'transient', mayHaveHappened: true } as const;
  if (afterEffect(stopped, target.effect) === 'unknown') {
    const message = 'the attempt was stopped with its worker, and may have been carried out';
    const error = operationError('unknown', message, { mayHaveHappened: true });
    return failure(target, call, { ...begun, error }, dependencies);
  }
  Context.current().heartbeat(closeLedger(begun.ledger, { counted: false }));
  if (cancelled.message !== 'WORKER_SHUTDOWN') return cancelled;
  return ApplicationFailure.create({
    message: `${call.connector}.${call.operation} was stopped with its worker; another takes over`,
    type: 'transient',
    details: [failureDetails(call)],
    nextRetryDelay: 1,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** The failure that Temporal is given, with what follows it. Logs it. */
function failure(
  target: Target,
  call: OperationCall,
  failed: BegunAttempt & { readonly error: unknown },
  { random, logger }: OperationDependencies,
): ApplicationFailure {
  const { info } = Context.current();
  const { attempt } = info;
  const problem: OperationProblem = problemOf(failed.error) ?? {
    errorClass: 'fatal',
    mayHaveHappened: true,
  };
  const ledger = closeLedger(failed.ledger, { counted: problem.errorClass !== 'throttled' });
  const decision = decideRetry(
    problem,
    {
      counted: attempt - ledger.free,
      free: ledger.free,
      elapsedMs: elapsedMs(ledger, info, performance.now() - failed.begunAt),
    },
    target.policy,
    random,
  );
  // Kept with the failure, for the next attempt.
  Context.current().heartbeat(ledger);
  logAttempt(logger, call, { attempt, problem, decision });
  return ApplicationFailure.create({
    message: failureMessage(call, failed.error, decision),
    type: problem.errorClass,
    details: [failureDetails(call)],
    ...(decision.action === 'retry'
      ? { nextRetryDelay: decision.delayMs, category: ApplicationFailureCategory.BENIGN }
      : { nonRetryable: true }),
  });
}

const failureDetails = (call: OperationCall): OperationFailureDetails => ({
  connector: call.connector,
  operation: call.operation,
  attempts: Context.current().info.attempt,
  idempotencyKey: call.idempotencyKey,
});

function failureMessage(
  { connector, operation }: OperationCall,
  error: unknown,
  decision: RetryDecision,
): string {
  const name = `${connector}.${operation}`;
  const text = withoutTokens(messageOf(error));
  const named = text.startsWith(name) ? text : `${name}: ${text}`;
  return decision.action === 'stop' && decision.why !== '' ? `${named} (${decision.why})` : named;
}

function logAttempt(
  logger: OperationLogger,
  { connector, operation, run, tenant }: OperationCall,
  {
    attempt,
    problem: { errorClass, status },
    decision,
  }: {
    readonly attempt: number;
    readonly problem: OperationProblem;
    readonly decision: RetryDecision;
  },
): void {
  const fields = {
    connector,
    operation,
    run,
    tenant,
    attempt,
    errorClass,
    ...(status === undefined ? {} : { status }),
  };
  if (decision.action === 'retry') {
    logger.info({ ...fields, retryInMs: decision.delayMs }, 'operation failed, is tried again');
  } else {
    logger.warn(fields, 'operation failed for good');
  }
}
