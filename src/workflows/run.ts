/**
 * The engine around a flow's body: what every run does, whatever the flow.
 *
 *   deliveries -> inbox -> window -> body -> settled in the journal -> next window, or the end
 *
 * A run is at any time in one phase; each phase decides the next one.
 */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import { unpackDeliveries } from '../model/delivery-batch.ts';
import { LIMITS } from '../model/limits.ts';
import type { CarriedRun, RunInput, SettleRunInput } from '../model/protocol.ts';
import { type FlowBody, runBody } from './body.ts';
import { showStage, showStory } from './details.ts';
import { holdWhileFull, released, told } from './hold.ts';
import { createInbox } from './inbox.ts';
import { type EdgeTime, edgeEndsAt, suppress } from './leading-edge.ts';
import { listen, receive } from './messages.ts';
import { adoptPark } from './park.ts';
import { createScope, isGrown, type OpenWindow, type RunScope } from './run-scope.ts';
import { carriedWindow, carryWindow, openedWindow } from './window-state.ts';

type Phase =
  | { readonly kind: 'between'; readonly followsLeadingEdge: boolean }
  | { readonly kind: 'window'; readonly window: OpenWindow }
  | { readonly kind: 'edge'; readonly time: EdgeTime }
  | { readonly kind: 'continue'; readonly carried: Omit<CarriedRun, 'seenThrough' | 'inbox'> }
  | { readonly kind: 'failed'; readonly reason: string };

/** Runs a flow: the whole life of one Temporal execution of a run. */
export async function runFlow(body: FlowBody, input: RunInput): Promise<unknown> {
  const { carried } = input;
  const scope = createScope(input, createInbox(carried?.seenThrough, carried?.inbox, Date.now()));
  adoptPark(scope);
  // Before the signals that have come meanwhile, whose deliveries have higher numbers.
  receive(scope, unpackDeliveries(input.deliveries) ?? []);
  listen(scope);
  if (carried !== undefined) showStage(scope, 'running', 'continued as new');
  else if (!isFirst(input)) await open(scope);

  let phase = firstPhase(carried);
  holdWhileFull(scope).catch((error: unknown) => {
    // A cancelled run settles all that it has taken in; there is nothing left to hold back.
    if (!isCancellation(error)) throw error;
  });
  try {
    for (;;) {
      switch (phase.kind) {
        case 'between':
          if (scope.inbox.peek() === undefined) {
            if (!scope.held) return scope.lastResult;
            await released(scope);
          }
          phase = nextWindow(scope, phase.followsLeadingEdge);
          break;
        case 'window':
          phase = await workOn(scope, phase.window, body);
          break;
        case 'edge':
          phase = await waitOutEdge(scope, phase.time);
          break;
        case 'continue':
          await told(scope);
          return await continueRun(scope, phase.carried);
        case 'failed':
          throw ApplicationFailure.nonRetryable(phase.reason, 'run_aborted');
        default:
          phase satisfies never;
      }
    }
  } catch (error) {
    if (isCancellation(error)) await settleCancelled(scope);
    throw error;
  }
}

function firstPhase(carried: CarriedRun | undefined): Phase {
  if (carried?.window !== undefined) {
    return { kind: 'window', window: carriedWindow(carried.window) };
  }
  if (carried?.edgeTime !== undefined) {
    return { kind: 'edge', time: carried.edgeTime as EdgeTime };
  }
  return { kind: 'between', followsLeadingEdge: false };
}

/** Temporal forgets executions when their retention is over, an hour at least. */
const ASKED_MS_AGO_MAX = 1_800_000;

/**
 * Whether nothing of this run can be settled. Who asked for a first execution and was stopped in the middle of
 * that for longer than Temporal remembers may have been given a second one.
 */
const isFirst = ({ execution, askedAt = 0 }: RunInput): boolean =>
  execution === 'first' &&
  Math.abs(workflowInfo().startTime.getTime() - askedAt) <= ASKED_MS_AGO_MAX;

/** Asks the journal what of this key is settled: a late repeat of a delivery must not start it anew. */
async function open(scope: RunScope): Promise<void> {
  await condition(() => scope.inbox.peek() !== undefined);
  const { settledThrough } = await scope.journal.open({
    run: scope.input.run,
    workflowRunId: scope.workflowRunId,
    firstNumber: scope.inbox.peek()?.number ?? 1,
  });
  scope.inbox.dropThrough(settledThrough);
}

function nextWindow(scope: RunScope, followsLeadingEdge: boolean): Phase {
  if (isGrown(scope)) return { kind: 'continue', carried: {} };
  const first = scope.inbox.take();
  if (first === undefined) return { kind: 'between', followsLeadingEdge };
  const { event } = first;
  if (scope.windowsOpened > 0 || scope.input.carried !== undefined) {
    showStory(event.source, event.correlationid);
  }
  scope.windowsOpened += 1;
  return { kind: 'window', window: openedWindow(first, followsLeadingEdge) };
}

async function workOn(scope: RunScope, window: OpenWindow, body: FlowBody): Promise<Phase> {
  const end = await runBody(scope, window, body);
  if (end.kind === 'waiting') {
    return { kind: 'continue', carried: { window: carryWindow(window, end.waiting) } };
  }
  await settle(scope, {
    through: scope.inbox.takenThrough(),
    outcome: end.outcome,
    ...(end.reason === undefined ? {} : { reason: end.reason }),
    ...(end.result === undefined ? {} : { result: end.result }),
    ...(window.summary === undefined ? {} : { window: window.summary }),
  });
  scope.lastResult = end.result ?? null;
  scope.window = undefined;
  // A stage is an event of history each time: what goes on or ends at once is not shown as settled. Of runs that
  // an older Tidegate began, the end was.
  const staysOpen = window.edgeTime !== undefined || scope.held;
  const showsEnd = staysOpen || scope.input.execution === undefined;
  if (showsEnd && scope.inbox.peek() === undefined) showStage(scope, 'settled', end.outcome);
  if (window.edgeTime !== undefined) return { kind: 'edge', time: window.edgeTime };
  if (end.outcome === 'aborted' && scope.inbox.peek() === undefined) {
    return { kind: 'failed', reason: end.reason ?? 'aborted' };
  }
  return { kind: 'between', followsLeadingEdge: false };
}

/** The quiet time after a leading edge: suppresses what comes, or waits for what opens a next window. */
async function waitOutEdge(scope: RunScope, from: EdgeTime): Promise<Phase> {
  // What a worker would have to replay by then may be erased: it is settled. This is asked once, where a
  // window was: the new execution comes here too.
  const isLong = edgeEndsAt(from) - Date.now() > LIMITS.quietTimeMsMax;
  if (scope.windowsOpened > 0 && isLong && patched('tidegate/long-quiet-time')) {
    return { kind: 'continue', carried: { edgeTime: from } };
  }
  if (from.edge === 'both') {
    const waitMs = edgeEndsAt(from) - Date.now();
    showStage(scope, 'waiting', 'quiet time after a leading edge; an event opens one more window');
    if (waitMs > 0) {
      await condition(() => scope.inbox.peek() !== undefined, waitMs, {
        summary: `quiet time of ${scope.input.key}`,
      });
    }
    // What came while the body ran counts by when it came, not by when the body had ended.
    const arrivedAt = scope.inbox.headArrivedAt() ?? Number.POSITIVE_INFINITY;
    return { kind: 'between', followsLeadingEdge: arrivedAt < edgeEndsAt(from) };
  }
  let time = from;
  scope.inbox.collectWith(({ number }, arrivedAt) => {
    const next = suppress(time, number, arrivedAt);
    time = next ?? time;
    return next === undefined ? 'refused' : 'taken';
  });
  try {
    for (;;) {
      const waitMs = edgeEndsAt(time) - Date.now();
      if (waitMs <= 0) break;
      if (isGrown(scope)) return { kind: 'continue', carried: { edgeTime: time } };
      showStage(scope, 'waiting', 'quiet time after a leading edge; events are suppressed');
      await condition(() => isGrown(scope), waitMs, {
        summary: `quiet time of ${scope.input.key}`,
      });
    }
  } finally {
    scope.inbox.collectWith(undefined);
  }
  if (time.suppressedThrough !== undefined) {
    await settle(scope, {
      through: time.suppressedThrough,
      outcome: 'suppressed',
      reason: 'came in the quiet time after a leading edge',
    });
  }
  return { kind: 'between', followsLeadingEdge: false };
}

const settle = (
  scope: RunScope,
  settlement: Omit<SettleRunInput, 'run' | 'workflowRunId'>,
): Promise<void> =>
  scope.journal.settle({
    run: scope.input.run,
    workflowRunId: scope.workflowRunId,
    ...settlement,
  });

const settleCancelled = (scope: RunScope): Promise<void> =>
  CancellationScope.nonCancellable(() =>
    settle(scope, {
      through: scope.inbox.seenThrough(),
      outcome: 'cancelled',
      reason: 'the workflow was cancelled',
    }),
  );

function continueRun(
  scope: RunScope,
  carried: Omit<CarriedRun, 'seenThrough' | 'inbox'>,
): Promise<never> {
  const { run, flow, tenant, key, marked, execution } = scope.input;
  return continueAsNew<(input: RunInput) => Promise<unknown>>({
    run,
    flow,
    tenant,
    key,
    ...(marked === undefined ? {} : { marked }),
    ...(execution === undefined ? {} : { execution }),
    carried: {
      seenThrough: scope.inbox.seenThrough(),
      inbox: scope.inbox.queued(),
      ...(scope.held ? { held: true } : {}),
      ...carried,
    },
  });
}
