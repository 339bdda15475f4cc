/**
 * The one waiting loop of every primitive that collects events. A rule decides (pure, time as an
 * argument); this loop waits: one lazy timer per window, never one per event.
 */
import { condition } from '@temporalio/workflow';
import type { Json, TidegateEvent } from '../model/event.ts';
import { showStage } from './details.ts';
import type { Inbox } from './inbox.ts';
import type { EdgeTime } from './leading-edge.ts';
import {
  activeStep,
  currentRun,
  mayContinueAsNew,
  nextStep,
  type RunInWindow,
  takeResuming,
} from './run-scope.ts';

export type Verdict<Reason extends string> =
  | { readonly closedBy: Reason }
  | { readonly dueAt: number };

/** A pure rule of collecting. Its state is plain JSON: it is carried across continue-as-new. */
export interface CollectRule<State, Event extends TidegateEvent, Reason extends string, Opener> {
  start(opener: Opener, now: number): State;
  accept(state: State, event: Event, now: number): State;
  /** Whether the step is closed at `now`, else when it will be if nothing comes. */
  verdict(state: State, now: number): Verdict<Reason>;
}

/** The events that a collecting step may begin with. */
export interface Openers<Event extends TidegateEvent> {
  /** The event that opened the run's window, unless an earlier step of the body has taken it. */
  readonly own: Event | undefined;
  /** Waits for the next event to come. */
  next(): Promise<Event>;
}

/** What is told of every collecting step while it waits and when it is settled. */
export interface Collected {
  /** Events taken. */
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface Closing<Reason extends string> {
  readonly key: string;
  readonly closedBy: Reason | 'flushed';
  /** Deliveries that came twice while the step collected. */
  readonly duplicates: number;
  readonly now: number;
}

export interface CollectOptions<
  State extends Collected,
  Event extends TidegateEvent,
  Reason extends string,
  Opener,
  Result,
> {
  readonly step: string;
  /** For the timer. */
  readonly waitingFor: string;
  /** For the run's details, each time an event is taken. */
  progress(state: State): string;
  opener(openers: Openers<Event>): Promise<Opener> | Opener;
  ruleFor(followsLeadingEdge: boolean): CollectRule<State, Event, Reason, Opener>;
  /** What the step returns: JSON. */
  close(state: State, closing: Closing<Reason>): Result;
  /** For the run's details, as the flow goes on. */
  closed(state: State, closing: Closing<Reason>): string;
  /** The quiet time to wait out after the window, when the step had a leading edge. */
  edgeTime?(followsLeadingEdge: boolean, now: number): EdgeTime | undefined;
}

/** What a collecting step carries across continue-as-new. */
interface CarriedCollect<State> {
  readonly state: State;
  readonly duplicates: number;
}

export async function collect<
  State extends Collected,
  Event extends TidegateEvent,
  Reason extends string,
  Opener,
  Result,
>(
  _inbox: Inbox<Event>,
  options: CollectOptions<State, Event, Reason, Opener, Result>,
): Promise<Result> {
  const scope = currentRun(options.step);
  const step = nextStep(scope.window, options.step);
  const done = scope.window.steps.get(step);
  const isFirst = !scope.window.hasCollected;
  scope.window.hasCollected = true;
  if (done !== undefined) return done as unknown as Result;

  const result = await activeStep(scope, () => untilClosed(scope, step, { ...options, isFirst }));
  scope.window.steps.set(step, result as unknown as Json);
  return result;
}

async function untilClosed<
  State extends Collected,
  Event extends TidegateEvent,
  Reason extends string,
  Opener,
  Result,
>(
  scope: RunInWindow,
  step: string,
  options: CollectOptions<State, Event, Reason, Opener, Result> & { readonly isFirst: boolean },
): Promise<Result> {
  const rule = options.ruleFor(scope.window.followsLeadingEdge);
  const carried = takeResuming(scope.window, step) as CarriedCollect<State> | undefined;
  const duplicatesBefore = scope.duplicates - (carried?.duplicates ?? 0);
  const openers = openersOf<Event>(scope, step, options.isFirst);
  let state = carried?.state ?? rule.start(await options.opener(openers), Date.now());

  const closedBy = (): Reason | 'flushed' | undefined => {
    if (scope.flushRequested) return 'flushed';
    const verdict = rule.verdict(state, Date.now());
    return 'closedBy' in verdict ? verdict.closedBy : undefined;
  };
  const showProgress = (): void => showStage(scope, 'waiting', options.progress(state));
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
      if (reason !== undefined) {
        const duplicates = scope.duplicates - duplicatesBefore;
        const { key } = scope.input;
        return finish(scope, options, state, {
          key,
          closedBy: reason,
          duplicates,
          now: Date.now(),
        });
      }
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

const openersOf = <Event extends TidegateEvent>(
  scope: RunInWindow,
  step: string,
  isFirst: boolean,
): Openers<Event> => ({
  own: isFirst ? (scope.window.first.event as Event) : undefined,
  async next() {
    showStage(scope, 'waiting', 'for an event that opens the next window');
    await condition(() => scope.inbox.peek() !== undefined || mayContinueAsNew(scope));
    const next = scope.inbox.take();
    if (next === undefined) {
      scope.continueWith({ step, state: undefined });
      return await new Promise<never>(() => {});
    }
    scope.window.takenThrough = next.number;
    return next.event as Event;
  },
});

function finish<
  State extends Collected,
  Event extends TidegateEvent,
  Reason extends string,
  Opener,
  Result,
>(
  scope: RunInWindow,
  options: CollectOptions<State, Event, Reason, Opener, Result>,
  state: State,
  closing: Closing<Reason>,
): Result {
  scope.window.summary = {
    count: state.count,
    closedBy: closing.closedBy,
    firstAt: state.firstAt,
    lastAt: state.lastAt,
  };
  const edgeTime = options.edgeTime?.(scope.window.followsLeadingEdge, closing.now);
  if (edgeTime !== undefined) scope.window.edgeTime = edgeTime;
  showStage(scope, 'running', options.closed(state, closing));
  return options.close(state, closing);
}
