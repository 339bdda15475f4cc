import { type Duration, durationMs, formatDuration } from '../../model/duration.ts';
import type { TidegateEvent } from '../../model/event.ts';
import { type Closing, type Collected, type CollectRule, collect } from '../collect.ts';
import type { Inbox } from '../inbox.ts';

/** How {@link waitFor} waits. */
export interface WaitForOptions {
  /** How long it waits at most, from when it is called. No default: always say it. */
  readonly within: Duration;
}

/** How waiting for an event ended: it came, or its time was over, or a person flushed it. */
export type WaitForResult<Event extends TidegateEvent = TidegateEvent> =
  | { readonly status: 'received'; readonly event: Event }
  | { readonly status: 'timedOut'; readonly closedBy: 'deadline' | 'flushed' };

/** {@link WaitForOptions} in milliseconds, with what is waited for. */
export interface WaitForRule<Event extends TidegateEvent = TidegateEvent> {
  readonly predicate: (event: Event) => boolean;
  readonly withinMs: number;
}

/** A wait that is open. Plain JSON. */
export interface WaitForState<Event extends TidegateEvent = TidegateEvent> extends Collected {
  /** What was waited for, once it has come. */
  readonly event?: Event;
}

type Reason = 'received' | 'deadline';

/**
 * Waits for an event for which the predicate is true. Each ending is a value; none is thrown.
 *
 * Events that came before it began to wait count; the event that opened the run's window does not,
 * the flow has it as `first`. Events that do not match stay in the inbox, in order, for a later step
 * of the body or else for the next window. So two waits find their events in either order.
 *
 * @param predicate Pure and synchronous. As a type guard, it gives the type of `event`.
 * @throws TidegateError `duration_invalid`
 * @example
 * ```ts
 * const answer = await waitFor(inbox, (event) => event.type === 'payment.received', { within: '2d' });
 * if (answer.status === 'received') await erp.book(answer.event.data);
 * ```
 */
export async function waitFor<Event extends TidegateEvent, Wanted extends Event = Event>(
  inbox: Inbox<Event>,
  // One signature and no overloads: the compiler's messages stay readable.
  predicate: ((event: Event) => event is Wanted) | ((event: Event) => boolean),
  options: WaitForOptions,
): Promise<WaitForResult<Wanted>> {
  const rule = waitForRule(predicate, options);
  const waitingFor = `an event, at most ${formatDuration(rule.withinMs)}`;
  return collect<WaitForState<Event>, Event, Reason, undefined, WaitForResult<Wanted>>(inbox, {
    step: 'waitFor',
    waitingFor,
    progress: () => waitingFor,
    leavesOpener: true,
    opener: () => undefined,
    ruleFor: () => waitForCore(rule),
    // The predicate was true for it.
    close: (state, closing) => waitForResult(state, closing) as WaitForResult<Wanted>,
    closed: ({ event }, { closedBy }) =>
      event === undefined ? `no event came, ${closedBy}` : `${event.type} ${event.id} came`,
  });
}

/** Checks the options. */
export const waitForRule = <Event extends TidegateEvent>(
  predicate: (event: Event) => boolean,
  options: WaitForOptions,
): WaitForRule<Event> => ({
  predicate,
  // Without any time to wait, what has come already still counts.
  withinMs: Math.max(1, durationMs(options.within, 'waitFor within')),
});

/**
 * The pure rule. Invariants, which the property tests drive through random timelines: the first event
 * in order for which the predicate is true ends it; it takes no other; never after the deadline.
 */
export const waitForCore = <Event extends TidegateEvent>({
  predicate,
  withinMs,
}: WaitForRule<Event>): CollectRule<WaitForState<Event>, Event, Reason, undefined> => ({
  start: (_opener, now) => ({ count: 0, firstAt: now, lastAt: now }),
  // In JavaScript, it may give anything.
  wants: (_state, event) => Boolean(predicate(event)),
  accept: (state, event, now) => ({ ...state, count: 1, lastAt: now, event }),
  verdict({ event, firstAt }, now) {
    if (event !== undefined) return { closedBy: 'received' };
    const dueAt = firstAt + withinMs;
    return now < dueAt ? { dueAt } : { closedBy: 'deadline' };
  },
});

/** The wait as it ended. */
export function waitForResult<Event extends TidegateEvent>(
  { event }: WaitForState<Event>,
  { closedBy }: Pick<Closing<Reason>, 'closedBy'>,
): WaitForResult<Event> {
  if (event !== undefined) return { status: 'received', event };
  return { status: 'timedOut', closedBy: closedBy === 'flushed' ? 'flushed' : 'deadline' };
}
