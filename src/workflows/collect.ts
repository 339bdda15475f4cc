/**
 * The one waiting loop of every primitive that collects events. A rule decides (pure, time as an
 * argument); this loop waits: one lazy timer per window, never one per event.
 */
import { condition } from '@temporalio/workflow';
import type { Json, TidegateEvent } from '../model/event.ts';
import { showStage } from './details.ts';
import type { Inbox } from './inbox.ts';
import type { DebounceEdge } from './leading-edge.ts';
import {
  activeStep,
  currentRun,
  mayContinueAsNew,
  nextStep,
  type RunInWindow,
  takeResuming,
} from './run-scope.ts';
import { type ClosedBy, closeWindow, type Window, type WindowState } from './window.ts';

export type Verdict = { readonly closedBy: ClosedBy } | { readonly dueAt: number };

/** A pure rule of collecting. */
export interface CollectRule<State, Event extends TidegateEvent> {
  start(event: Event, now: number): State;
  accept(state: State, event: Event, now: number): State;
  /** Whether the window is closed at `now`, else when it will be if nothing comes. */
  verdict(state: State, now: number): Verdict;
}

export interface CollectOptions<State, Event extends TidegateEvent> {
  readonly step: string;
  readonly waitingFor: string;
  readonly edge: {
    readonly edge: DebounceEdge;
    readonly quietMs: number;
    readonly atMostMs: number;
  };
  readonly ruleFor: (edge: DebounceEdge) => CollectRule<State, Event>;
}

/** What a collecting step carries across continue-as-new. */
interface CarriedCollect<State> {
  readonly state: State;
  readonly duplicates: number;
}

export async function collect<State extends WindowState<Event>, Event extends TidegateEvent>(
  _inbox: Inbox<Event>,
  options: CollectOptions<State, Event>,
): Promise<Window<Event>> {
  const scope = currentRun(options.step);
  const step = nextStep(scope.window, options.step);
  const done = scope.window.steps.get(step);
  const isFirst = !scope.window.hasCollected;
  scope.window.hasCollected = true;
  if (done !== undefined) return done as unknown as Window<Event>;

  const window = await activeStep(scope, () => waitForWindow(scope, step, { ...options, isFirst }));
  scope.window.steps.set(step, window as unknown as Json);
  return window;
}

async function waitForWindow<State extends WindowState<Event>, Event extends TidegateEvent>(
  scope: RunInWindow,
  step: string,
  options: CollectOptions<State, Event> & { readonly isFirst: boolean },
): Promise<Window<Event>> {
  const edge = scope.window.followsLeadingEdge ? 'trailing' : options.edge.edge;
  const rule = options.ruleFor(edge);
  const carried = takeResuming(scope.window, step) as CarriedCollect<State> | undefined;
  const duplicatesBefore = scope.duplicates - (carried?.duplicates ?? 0);
  let state =
    carried?.state ?? rule.start(await firstEvent<Event>(scope, step, options.isFirst), Date.now());

  const closedBy = (): ClosedBy | undefined => {
    if (scope.flushRequested) return 'flushed';
    const verdict = rule.verdict(state, Date.now());
    return 'closedBy' in verdict ? verdict.closedBy : undefined;
  };
  const showProgress = (): void =>
    showStage(scope, 'waiting', `${options.waitingFor}; ${state.count} so far`);
  scope.inbox.collectWith((delivery) => {
    // An event that comes after the deadline belongs to the next window, even if the timer is late.
    if (closedBy() !== undefined) return false;
    state = rule.accept(state, delivery.event as Event, Date.now());
    scope.window.takenThrough = delivery.number;
    showProgress();
    return true;
  });
  scope.isCollecting = true;
  try {
    for (;;) {
      const verdict = rule.verdict(state, Date.now());
      const reason = closedBy();
      if (reason !== undefined)
        return finish(scope, options, { edge, state, reason, duplicatesBefore });
      if (mayContinueAsNew(scope)) {
        const carry: CarriedCollect<State> = {
          state,
          duplicates: scope.duplicates - duplicatesBefore,
        };
        scope.continueWith({ step, state: carry });
        return await new Promise<never>(() => {});
      }
      const waitMs = 'dueAt' in verdict ? verdict.dueAt - Date.now() : 0;
      showProgress();
      await condition(() => closedBy() !== undefined || mayContinueAsNew(scope), waitMs, {
        summary: `${options.step} ${scope.input.key}: ${options.waitingFor}`,
      });
    }
  } finally {
    scope.inbox.collectWith(undefined);
    scope.isCollecting = false;
    scope.flushRequested = false;
  }
}

/** The event that opens the window: the run's, or for a later step the next one that comes. */
async function firstEvent<Event extends TidegateEvent>(
  scope: RunInWindow,
  step: string,
  isFirst: boolean,
): Promise<Event> {
  if (isFirst) return scope.window.first.event as Event;
  showStage(scope, 'waiting', 'for an event that opens the next window');
  await condition(() => scope.inbox.peek() !== undefined || mayContinueAsNew(scope));
  const next = scope.inbox.take();
  if (next === undefined) {
    scope.continueWith({ step, state: undefined });
    return await new Promise<never>(() => {});
  }
  scope.window.takenThrough = next.number;
  return next.event as Event;
}

function finish<State extends WindowState<Event>, Event extends TidegateEvent>(
  scope: RunInWindow,
  options: CollectOptions<State, Event>,
  closing: {
    readonly edge: DebounceEdge;
    readonly state: State;
    readonly reason: ClosedBy;
    readonly duplicatesBefore: number;
  },
): Window<Event> {
  const window = closeWindow<Event>(closing.state, {
    key: scope.input.key,
    closedBy: closing.reason,
    duplicates: scope.duplicates - closing.duplicatesBefore,
  });
  scope.window.summary = {
    count: window.count,
    closedBy: window.closedBy,
    firstAt: window.firstAt,
    lastAt: window.lastAt,
  };
  if (closing.edge !== 'trailing') {
    const { quietMs, atMostMs } = options.edge;
    const now = Date.now();
    scope.window.edgeTime = {
      edge: closing.edge,
      quietMs,
      atMostMs,
      firedAt: now,
      lastAt: now,
    };
  }
  showStage(
    scope,
    'running',
    `working on ${window.count} events, window closed by ${window.closedBy}`,
  );
  return window;
}
