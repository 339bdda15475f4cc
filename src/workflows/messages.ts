/** What comes to a run from outside: deliveries, decisions and questions. Handlers never throw. */
import {
  ApplicationFailure,
  defineQuery,
  defineSignal,
  defineUpdate,
  log,
  setHandler,
} from '@temporalio/workflow';
import { type DeliveryBatch, unpackDeliveries } from '../model/delivery-batch.ts';
import type { Delivery } from '../model/event.ts';
import {
  DECIDE_UPDATE,
  DECISION_ACTIONS,
  DELIVER_SIGNAL,
  type Decision,
  type DecisionReceipt,
  RUN_QUERY,
  type RunView,
} from '../model/protocol.ts';
import type { RunScope } from './run-scope.ts';
import { type Refusal, refusedBy, speak } from './voices.ts';

const deliverSignal = defineSignal<[DeliveryBatch]>(DELIVER_SIGNAL);
const decideUpdate = defineUpdate<DecisionReceipt, [Decision]>(DECIDE_UPDATE);
const runQuery = defineQuery<RunView>(RUN_QUERY);

/** Registers the handlers. All are synchronous: an asynchronous one would be lost at continue-as-new. */
export function listen(scope: RunScope): void {
  setHandler(deliverSignal, (batch) => {
    scope.signals += 1;
    const deliveries = unpackDeliveries(batch);
    if (deliveries !== undefined) {
      receive(scope, deliveries);
      return;
    }
    // Anybody can send a signal from the Web UI; a bad one must not stop the run.
    log.warn('ignored a deliver signal that is not a list of deliveries');
  });
  setHandler(decideUpdate, (decision) => decide(scope, decision), {
    validator: (decision) => {
      const refusal = refusalOf(scope, decision);
      if (refusal !== undefined) throw ApplicationFailure.nonRetryable(refusal.why, refusal.code);
    },
  });
  setHandler(runQuery, () => view(scope));
}

/** Takes in a batch of deliveries. */
export function receive(scope: RunScope, batch: readonly Delivery[]): void {
  scope.marked.note(batch);
  scope.duplicates += scope.inbox.accept(batch, Date.now());
}

function decide(scope: RunScope, decision: Decision): DecisionReceipt {
  const { action } = decision;
  scope.inHistory.came();
  if (action === 'flush') {
    scope.flushRequested = true;
    return { parkId: '', action };
  }
  const parked = undecided(scope, decision.parkId);
  if (parked === undefined)
    throw ApplicationFailure.nonRetryable('nothing waits', 'run_not_waiting');
  if (action === 'approve' || action === 'reject')
    speak(parked, { ...decision, action }, Date.now());
  else parked.decision = decision;
  return { parkId: parked.parkId, action };
}

function refusalOf(scope: RunScope, decision: Decision): Refusal | undefined {
  if (!DECISION_ACTIONS.includes(decision?.action)) {
    return {
      code: 'decision_invalid',
      why: `a decision is one of ${DECISION_ACTIONS.join(', ')}`,
    };
  }
  if (decision.action === 'flush') {
    return scope.isCollecting
      ? undefined
      : { code: 'run_not_waiting', why: 'no window is open that could be flushed' };
  }
  const parked = undecided(scope, decision.parkId);
  return parked === undefined
    ? { code: 'run_not_waiting', why: 'the run does not wait for this decision' }
    : refusedBy(parked, decision, Date.now());
}

/** The oldest park without a decision, or the one that is named. */
const undecided = (scope: RunScope, parkId?: string) =>
  scope.parked.find(
    (parked) =>
      parked.decision === undefined &&
      parked.isWithdrawn === undefined &&
      (parkId === undefined || parked.parkId === parkId),
  );

function view(scope: RunScope): RunView {
  const parked = undecided(scope);
  return {
    stage: scope.stage,
    ...(scope.waitingFor === undefined ? {} : { waitingFor: scope.waitingFor }),
    seenThrough: scope.inbox.seenThrough(),
    inboxCount: scope.inbox.count(),
    ...(parked === undefined
      ? {}
      : {
          parked: {
            parkId: parked.parkId,
            step: parked.step,
            ...(parked.errorClass === undefined ? {} : { errorClass: parked.errorClass }),
            reason: parked.reason,
          },
        }),
    open: [...scope.open].map(([step, look]) => ({ step, ...look() })),
  };
}
