import { type Duration, durationMs, formatDuration } from '../../model/duration.ts';
import { TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { type CollectRule, collect, type Verdict } from '../collect.ts';
import type { Inbox } from '../inbox.ts';
import {
  awaited,
  awaitedWeight,
  type CountedVote,
  isVoter,
  maySpeak,
  type QuorumRule,
  type QuorumState,
  type Vote,
  weigh,
} from '../tally.ts';

/** How {@link quorum} decides. */
export interface QuorumOptions<Event extends TidegateEvent = TidegateEvent> {
  /** The weight of yes that it takes; without `weight`, a number of voters. A whole number from 1. */
  readonly need: number;
  /**
   * The voters by name, or how many there are. Those named in `mustInclude` have a place among them;
   * those in `optional` are voters beside them. @default anybody, up to 200 voters
   */
  readonly of?: readonly string[] | number;
  /** Voters who must be among the yes, whatever the others say. @default none */
  readonly mustInclude?: readonly string[];
  /** Voters whose vote counts when it comes and who are never waited for. @default none */
  readonly optional?: readonly string[];
  /** Whole numbers from 1 by voter. @default 1 for each voter */
  readonly weight?: Readonly<Record<string, number>>;
  /** Who votes: 1 to 512 characters. Not asked about an ignored event. Pure and synchronous. */
  readonly voter: (event: Event) => string;
  /** What an event says. Pure and synchronous. */
  readonly vote: (event: Event) => Vote;
  /** How long it waits at most, from when it is called. No default: always say it. */
  readonly within: Duration;
}

/**
 * Why a quorum ended: `need` was met; so many `no` that it cannot be; a `veto`; the no of a
 * `mustInclude` voter; `tooFewVoters` for `need`, even if all said yes; the `deadline`; a person who
 * `flushed` it.
 */
export type QuorumClosedBy =
  | 'need'
  | 'no'
  | 'veto'
  | 'mustInclude'
  | 'tooFewVoters'
  | 'deadline'
  | 'flushed';

/** How a quorum ended. */
export interface QuorumResult {
  /** `reached` by need; `refused` by no or veto; `impossible` by mustInclude or tooFewVoters; else `timedOut`. */
  readonly status: 'reached' | 'refused' | 'impossible' | 'timedOut';
  readonly closedBy: QuorumClosedBy;
  /** The weights of yes, and of no and vetoes. */
  readonly yes: number;
  readonly no: number;
  /** One vote for each voter, in the order in which they came. */
  readonly votes: readonly CountedVote[];
  /** The voters known by name who were waited for and had not voted. */
  readonly pending: readonly string[];
  /** Events taken that were no vote. */
  readonly ignored: number;
  /** Votes of those who are not voters. */
  readonly notListed: number;
  readonly openedAt: number;
  readonly closedAt: number;
}

type Reason = Exclude<QuorumClosedBy, 'flushed'>;

/**
 * Waits until enough voters have said yes, or until that cannot happen any more. Each ending is a
 * value; none is thrown.
 *
 * Votes as they stand decide, together with those still awaited:
 * - A voter counts once. Another vote of the same voter replaces the first until the quorum ends;
 *   the last to come wins. An ignored event takes no vote back.
 * - It ends as soon as no awaited vote could alter the outcome: `reached` when the yes weigh `need`
 *   and all of `mustInclude` are among them; `refused` by a veto at once, or when yes and awaited
 *   votes weigh less than `need`, and those who said no would have made it; `impossible` when a
 *   `mustInclude` voter says no, or when there are too few voters for `need` whatever they say.
 *   A no that ends it in several ways counts as veto, then as that of a `mustInclude` voter.
 * - Optional voters are never awaited. Votes of those who are not voters are counted as `notListed`.
 * - `timedOut` after `within`, or when a person flushes it.
 * - The event that opened the run is offered first, unless an earlier step has taken it; then what
 *   waits in the inbox, then what comes. What comes after the end opens the run's next window.
 *
 * @throws TidegateError `option_invalid` or `duration_invalid`, naming the option.
 * @example
 * ```ts
 * const { status } = await quorum(inbox, {
 *   need: 2,
 *   of: ['legal', 'security', 'finance'],
 *   voter: (event) => event.data.team,
 *   vote: (event) => (event.data.approved ? 'yes' : 'no'),
 *   within: '3d',
 * });
 * ```
 */
export async function quorum<Event extends TidegateEvent>(
  inbox: Inbox<Event>,
  options: QuorumOptions<Event>,
): Promise<QuorumResult> {
  const rule = quorumRule(options);
  const waitingFor = `${rule.need} yes within ${formatDuration(rule.withinMs)}`;
  return collect<QuorumState, Event, Reason, Event | undefined, QuorumResult>(inbox, {
    step: 'quorum',
    waitingFor,
    progress: (state) => `${waitingFor}; ${standing(rule, state)}`,
    opener: ({ own }) => own,
    ruleFor: () => quorumCore(rule),
    close: (state, { closedBy, now }) => quorumResult(rule, state, { closedBy, now }),
    closed: (state, { closedBy }) =>
      `quorum ${STATUS[closedBy]} by ${closedBy}; ${standing(rule, state)}`,
  });
}

/** Checks the options. */
export function quorumRule<Event extends TidegateEvent>(
  options: QuorumOptions<Event>,
): QuorumRule<Event> {
  const { of } = options;
  const withinMs = durationMs(options.within, 'quorum within');
  const need = wholeFromOne(options.need, 'need');
  const mustInclude = new Set(options.mustInclude);
  const optional = new Set(options.optional);
  const both = [...mustInclude].find((voter) => optional.has(voter));
  if (both !== undefined)
    throw invalid(`${JSON.stringify(both)} is in mustInclude and in optional`);

  const named = new Set([...(Array.isArray(of) ? (of as readonly string[]) : []), ...mustInclude]);
  for (const voter of optional) named.delete(voter);
  const nameless = [...named, ...optional].find((voter) => !isVoter(voter));
  if (nameless !== undefined) {
    throw invalid(`a voter is a text of 1 to 512 characters, got ${JSON.stringify(nameless)}`);
  }
  const count = Array.isArray(of)
    ? named.size
    : wholeFromOne((of as number | undefined) ?? LIMITS.quorumVotersMax - optional.size, 'of');
  if (count < named.size) throw invalid(`of (${count}) is less than mustInclude (${named.size})`);
  if (count + optional.size > LIMITS.quorumVotersMax) {
    throw invalid(`at most ${LIMITS.quorumVotersMax} voters, got ${count + optional.size}`);
  }
  const weights = new Map(Object.entries(options.weight ?? {}));
  for (const [voter, weight] of weights) wholeFromOne(weight, `weight of ${JSON.stringify(voter)}`);
  const { voter, vote } = options;
  const places = count - named.size;
  return { need, named, places, mustInclude, optional, weights, voter, vote, withinMs };
}

/**
 * The pure rule. Invariants, which the property tests drive through random timelines: it ends with
 * the very vote after which no completion of the awaited votes has another outcome, never later
 * than the deadline; silent optional voters and those not listed change nothing.
 */
export function quorumCore<Event extends TidegateEvent>(
  rule: QuorumRule<Event>,
): CollectRule<QuorumState, Event, Reason, Event | undefined> {
  const accept = (state: QuorumState, event: Event, now: number): QuorumState =>
    count(rule, { ...state, count: state.count + 1, lastAt: now }, event);
  return {
    start(opener, now) {
      const empty = { count: 0, firstAt: now, lastAt: now, votes: [], ignored: 0, notListed: 0 };
      return opener === undefined ? empty : accept(empty, opener, now);
    },
    accept,
    verdict: (state, now) => verdict(rule, state, now),
  };
}

/** The quorum as it ended. */
export function quorumResult<Event extends TidegateEvent>(
  rule: QuorumRule<Event>,
  state: QuorumState,
  { closedBy, now }: { readonly closedBy: QuorumClosedBy; readonly now: number },
): QuorumResult {
  return {
    status: STATUS[closedBy],
    closedBy,
    yes: weigh(rule, state, ({ vote }) => vote === 'yes'),
    no: weigh(rule, state, ({ vote }) => vote !== 'yes'),
    votes: state.votes,
    pending: awaited(rule, state),
    ignored: state.ignored,
    notListed: state.notListed,
    openedAt: state.firstAt,
    closedAt: now,
  };
}

const STATUS: Readonly<Record<QuorumClosedBy, QuorumResult['status']>> = {
  need: 'reached',
  no: 'refused',
  veto: 'refused',
  mustInclude: 'impossible',
  tooFewVoters: 'impossible',
  deadline: 'timedOut',
  flushed: 'timedOut',
};

function count<Event extends TidegateEvent>(
  rule: QuorumRule<Event>,
  state: QuorumState,
  event: Event,
): QuorumState {
  const vote = rule.vote(event);
  switch (vote) {
    case 'ignore':
      return { ...state, ignored: state.ignored + 1 };
    case 'yes':
    case 'no':
    case 'veto': {
      const voter = rule.voter(event);
      if (!maySpeak(rule, state, voter)) return { ...state, notListed: state.notListed + 1 };
      const others = state.votes.filter((other) => other.voter !== voter);
      return {
        ...state,
        votes: [...others, { voter, vote, at: state.lastAt, eventId: event.id }],
      };
    }
    default:
      vote satisfies never;
      throw invalid(`vote must give 'yes', 'no', 'veto' or 'ignore', got ${JSON.stringify(vote)}`);
  }
}

function verdict(rule: QuorumRule<never>, state: QuorumState, now: number): Verdict<Reason> {
  const { need, mustInclude } = rule;
  const said = new Map(state.votes.map(({ voter, vote }) => [voter, vote]));
  const must = [...mustInclude].map((voter) => said.get(voter));
  const yes = weigh(rule, state, ({ vote }) => vote === 'yes');
  if (state.votes.some(({ vote }) => vote === 'veto')) return { closedBy: 'veto' };
  if (yes >= need && must.every((vote) => vote === 'yes')) return { closedBy: 'need' };
  if (must.includes('no')) return { closedBy: 'mustInclude' };
  const possible = yes + awaitedWeight(rule, state);
  if (possible < need) {
    const no = weigh(rule, state, ({ vote }) => vote === 'no');
    return { closedBy: possible + no >= need ? 'no' : 'tooFewVoters' };
  }
  const dueAt = state.firstAt + rule.withinMs;
  return now < dueAt ? { dueAt } : { closedBy: 'deadline' };
}

function standing(rule: QuorumRule<never>, state: QuorumState): string {
  const { yes, no, pending } = quorumResult(rule, state, { closedBy: 'flushed', now: 0 });
  const names = pending.length === 0 ? '' : `, pending: ${pending.slice(0, 10).join(', ')}`;
  return `${yes} yes, ${no} no${names}${pending.length > 10 ? ', …' : ''}`;
}

function wholeFromOne(value: number, option: string): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw invalid(`${option} must be a whole number from 1, got ${JSON.stringify(value)}`);
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `quorum: ${problem}`);
