/**
 * The one loop of every primitive that collects events. A rule decides (pure, time as an argument);
 * `waitUntil` waits: one lazy timer per window, never one per event.
 */
import { TidegateError } from '../model/error.ts';
import type { Delivery, Json, TidegateEvent } from '../model/event.ts';
import { showStage } from './details.ts';
import type { Inbox } from './inbox.ts';
import type { EdgeTime } from './leading-edge.ts';
import { activeStep, currentRun, nextStep, type RunInWindow, takeResuming } from './run-scope.ts';
import { waitUntil } from './wait.ts';

export type Verdict<Reason extends string> =
  | { readonly closedBy: Reason }
  | { readonly dueAt: number };

/** A pure rule of collecting. Its state is plain JSON: it is carried across continue-as-new. */
export interface CollectRule<State, Event extends TidegateEvent, Reason extends string, Opener> {
  start(opener: Opener, now: number): State;
  /** Whether the step takes this event. What it does not take stays in the inbox. @default it does */
  wants?(state: State, event: Event, now: number): boolean;
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
  /** The numbers of the first and the last delivery taken; absent when none was. */
  readonly deliveries?: TakenDeliveries;
  readonly now: number;
}

export interface TakenDeliveries {
  readonly from: number;
  readonly through: number;
  /** Ranges between them, of deliveries that another step took or takes. @default none */
  readonly except?: readonly (readonly [from: number, through: number])[];
}

/** The deliveries with one more, which comes after all of them. */
export function withDelivery(taken: TakenDeliveries | undefined, number: number): TakenDeliveries {
  if (taken === undefined) return { from: number, through: number };
  const next = taken.through + 1;
  if (next === number) return { ...taken, through: number };
  return {
    from: taken.from,
    through: number,
    except: [...(taken.except ?? []), [next, number - 1]],
  };
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
  /** How it stands, for the run's details, each time an event is taken. */
  progress(state: State): string;
  /** How it stands, for who looks at the open run: small, and nothing of the events' data. @default count and times */
  view?(state: State): Json;
  /** Whether the event that opened the run's window is left to a later step. @default false */
  readonly leavesOpener?: true;
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
  readonly taken?: TakenDeliveries;
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
  const isFirst = options.leavesOpener !== true && !scope.window.hasCollected;
  if (isFirst) scope.window.hasCollected = true;
  if (done !== undefined) return done as unknown as Result;
  if (scope.isCollecting) {
    throw new TidegateError(
      'flow_invalid',
      `${step} and another step would take events from the inbox at the same time: let one wait after the other`,
    );
  }

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
  let taken = carried?.taken;
  const take = ({ number, event }: Delivery): void => {
    scope.inHistory.came();
    taken = withDelivery(taken, number);
    scope.window.hops = Math.max(scope.window.hops, event.hops);
  };
  if (options.isFirst && carried !== undefined && taken === undefined) {
    // Carried by an older build, which took every delivery.
    taken = { from: scope.window.first.number, through: scope.inbox.takenThrough() };
  }
  if (options.isFirst && carried === undefined) take(scope.window.first);
  const openers = openersOf<Event>(scope, step, { isFirst: options.isFirst, take });
  let state = carried?.state ?? rule.start(await options.opener(openers), Date.now());

  const closedBy = (): Reason | 'flushed' | undefined => {
    if (scope.flushRequested) return 'flushed';
    const verdict = rule.verdict(state, Date.now());
    return 'closedBy' in verdict ? verdict.closedBy : undefined;
  };
  const dueAt = (): number | undefined => {
    const verdict = rule.verdict(state, Date.now());
    return 'dueAt' in verdict ? verdict.dueAt : undefined;
  };
  const duplicates = (): number => scope.duplicates - duplicatesBefore;
  const showProgress = (): void => showStage(scope, 'waiting', options.progress(state));
  scope.inbox.collectWith((delivery) => {
    // An event that comes after the deadline belongs to the next window, even if the timer is late.
    if (closedBy() !== undefined) return 'refused';
    const event = delivery.event as Event;
    if (rule.wants?.(state, event, Date.now()) === false) return 'left';
    state = rule.accept(state, event, Date.now());
    take(delivery);
    showProgress();
    return 'taken';
  });
  scope.isCollecting = true;
  scope.open.set(step, () => ({
    kind: options.step,
    ...withDueAt(dueAt()),
    standing: options.progress(state),
    state: options.view?.(state) ?? countAndTimes(state),
  }));
  try {
    if (closedBy() === undefined) showProgress();
    await waitUntil(scope, {
      step,
      summary: `${options.step} ${scope.input.key}: ${options.waitingFor}`,
      isOver: () => closedBy() !== undefined,
      dueAt,
      carry: (): CarriedCollect<State> => ({
        state,
        duplicates: duplicates(),
        ...(taken === undefined ? {} : { taken }),
      }),
    });
    return finish(scope, options, state, {
      key: scope.input.key,
      closedBy: closedBy() as Reason | 'flushed',
      duplicates: duplicates(),
      ...(taken === undefined ? {} : { deliveries: taken }),
      now: Date.now(),
    });
  } finally {
    scope.inbox.collectWith(undefined);
    scope.open.delete(step);
    scope.isCollecting = false;
    scope.flushRequested = false;
  }
}

const countAndTimes = ({ count, firstAt, lastAt }: Collected): Json => ({ count, firstAt, lastAt });

const withDueAt = (dueAt: number | undefined) => (dueAt === undefined ? {} : { dueAt });

function openersOf<Event extends TidegateEvent>(
  scope: RunInWindow,
  step: string,
  { isFirst, take }: { readonly isFirst: boolean; readonly take: (delivery: Delivery) => void },
): Openers<Event> {
  return {
    own: isFirst ? (scope.window.first.event as Event) : undefined,
    async next() {
      showStage(scope, 'waiting', 'for an event that opens the next window');
      await waitUntil(scope, {
        step,
        summary: '',
        isOver: () => scope.inbox.peek() !== undefined,
        dueAt: () => undefined,
        carry: () => undefined,
      });
      const next = scope.inbox.take() as Delivery;
      take(next);
      return next.event as Event;
    },
  };
}

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
  // A window tells more than the event that was waited for beside it.
  if (options.leavesOpener !== true || scope.window.summary === undefined) {
    scope.window.summary = {
      count: state.count,
      closedBy: closing.closedBy,
      firstAt: state.firstAt,
      lastAt: state.lastAt,
    };
  }
  const edgeTime = options.edgeTime?.(scope.window.followsLeadingEdge, closing.now);
  if (edgeTime !== undefined) scope.window.edgeTime = edgeTime;
  showStage(scope, 'running', options.closed(state, closing));
  return options.close(state, closing);
}
