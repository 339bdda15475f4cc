import { type Duration, durationMs, formatDuration } from '../../model/duration.ts';
import { TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import { type CollectRule, collect, type Verdict } from '../collect.ts';
import type { Inbox } from '../inbox.ts';
import type { DebounceEdge, EdgeTime } from '../leading-edge.ts';
import {
  type ClosedBy,
  closeWindow,
  foldEvent,
  openWindow,
  type Window,
  type WindowState,
} from '../window.ts';

/** How {@link debounce} waits. */
export interface DebounceOptions<Event extends TidegateEvent = TidegateEvent> {
  /** The window closes when no event has come for this long. No default: always say it. */
  readonly quiet: Duration;
  /**
   * The longest a window stays open, from its first event, however many come. No default: without
   * a bound, a key that never falls quiet would never be handled. At least `quiet`.
   */
  readonly atMost: Duration;
  /** The window closes at once with this many events. @default no bound */
  readonly maxEvents?: number;
  /**
   * When the flow goes on: `trailing` after the quiet time; `leading` at the first event, and what
   * follows until the quiet time is suppressed; `both` at the first event, and once more for what
   * followed, if anything did. @default 'trailing'
   */
  readonly edge?: DebounceEdge;
  /**
   * Whether an event closes the window at once; such events are its `criticals`. Pure and
   * synchronous. @default none does
   */
  readonly urgent?: (event: Event) => boolean;
}

/** {@link DebounceOptions} in milliseconds, checked. */
export interface DebounceRule<Event extends TidegateEvent = TidegateEvent> {
  readonly quietMs: number;
  readonly atMostMs: number;
  readonly maxEvents: number;
  readonly edge: DebounceEdge;
  readonly urgent: (event: Event) => boolean;
}

/**
 * Waits until the events of this run's key have fallen quiet, and returns what came as one window.
 *
 * The deadline is `min(last + quiet, first + atMost)` on the run's clock. Deliveries that come twice
 * never move it. What arrives after the window has closed, also while the flow works on it, is the
 * next window.
 *
 * @throws TidegateError `option_invalid` or `duration_invalid`, naming the option.
 * @example
 * ```ts
 * const window = await debounce(inbox, { quiet: '30s', atMost: '5m' });
 * ```
 */
export async function debounce<Event extends TidegateEvent>(
  inbox: Inbox<Event>,
  options: DebounceOptions<Event>,
): Promise<Window<Event>> {
  const rule = debounceRule(options);
  const waitingFor = `${formatDuration(rule.quietMs)} of quiet, at most ${formatDuration(rule.atMostMs)}`;
  const edgeAfter = (followsLeadingEdge: boolean): DebounceEdge =>
    followsLeadingEdge ? 'trailing' : rule.edge;
  return collect<WindowState<Event>, Event, ClosedBy, Event, Window<Event>>(inbox, {
    step: 'debounce',
    waitingFor,
    progress: ({ count }) => `${waitingFor}; ${count} so far`,
    opener: ({ own, next }) => own ?? next(),
    ruleFor: (followsLeadingEdge) => debounceCore({ ...rule, edge: edgeAfter(followsLeadingEdge) }),
    close: closeWindow,
    closed: ({ count }, { closedBy }) => `working on ${count} events, window closed by ${closedBy}`,
    edgeTime: (followsLeadingEdge, now) => edgeTime(rule, edgeAfter(followsLeadingEdge), now),
  });
}

const edgeTime = (
  { quietMs, atMostMs }: Pick<DebounceRule, 'quietMs' | 'atMostMs'>,
  edge: DebounceEdge,
  now: number,
): EdgeTime | undefined =>
  edge === 'trailing' ? undefined : { edge, quietMs, atMostMs, firedAt: now, lastAt: now };

/** Checks the options and gives them in milliseconds. */
export function debounceRule<Event extends TidegateEvent>(
  options: DebounceOptions<Event>,
): DebounceRule<Event> {
  const quietMs = durationMs(options.quiet, 'debounce quiet');
  const atMostMs = durationMs(options.atMost, 'debounce atMost');
  if (atMostMs < quietMs) {
    throw invalid(`atMost (${options.atMost}) must not be shorter than quiet (${options.quiet})`);
  }
  const maxEvents = options.maxEvents ?? Number.MAX_SAFE_INTEGER;
  if (!Number.isSafeInteger(maxEvents) || maxEvents < 1) {
    throw invalid(`maxEvents must be a whole number from 1, got ${options.maxEvents}`);
  }
  const edge = options.edge ?? 'trailing';
  if (edge !== 'trailing' && edge !== 'leading' && edge !== 'both') {
    throw invalid(`edge must be 'trailing', 'leading' or 'both', got ${JSON.stringify(edge)}`);
  }
  return { quietMs, atMostMs, maxEvents, edge, urgent: options.urgent ?? (() => false) };
}

/**
 * The pure rule. Invariants, which the property tests drive through random timelines:
 * nothing lost or reordered, never later than `first + atMost`, never before the quiet time unless
 * `atMost`, `maxEvents`, `urgent` or a leading edge closed it, never more than `maxEvents`.
 */
export function debounceCore<Event extends TidegateEvent>(
  rule: DebounceRule<Event>,
): CollectRule<WindowState<Event>, Event, ClosedBy, Event> {
  const { urgent } = rule;
  const asks = { urgent, critical: urgent };
  return {
    start: (event, now) => openWindow(asks, event, now),
    accept: (state, event, now) => foldEvent(asks, state, event, now),
    verdict: (state, now) => verdict(rule, state, now),
  };
}

function verdict(rule: DebounceRule<never>, state: WindowState, now: number): Verdict<ClosedBy> {
  if (rule.edge !== 'trailing') return { closedBy: 'leading' };
  if (state.urgent) return { closedBy: 'urgent' };
  if (state.count >= rule.maxEvents) return { closedBy: 'maxEvents' };
  const quietAt = state.lastAt + rule.quietMs;
  const atMostAt = state.firstAt + rule.atMostMs;
  const dueAt = Math.min(quietAt, atMostAt);
  if (now < dueAt) return { dueAt };
  const closedBy: ClosedBy = atMostAt < quietAt ? 'atMost' : 'quiet';
  return { closedBy };
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `debounce: ${problem}`);
