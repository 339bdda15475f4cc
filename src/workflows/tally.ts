/** Who may vote in a quorum, what has been said, and what is still awaited. Pure. */
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { Collected } from './collect.ts';

/** What an event says: `veto` is a no that ends the quorum; `ignore` means it is no vote. */
export type Vote = 'yes' | 'no' | 'veto' | 'ignore';

/** A voter's last vote. Plain JSON. */
export interface CountedVote {
  readonly voter: string;
  readonly vote: Exclude<Vote, 'ignore'>;
  /** When it was counted, in milliseconds since 1970, on the run's clock. */
  readonly at: number;
  readonly eventId: string;
}

/** The options of a quorum, checked. */
export interface QuorumRule<Event extends TidegateEvent = TidegateEvent> {
  readonly need: number;
  /** Voters who are waited for and known by name. */
  readonly named: ReadonlySet<string>;
  /** How many more are waited for, whoever they are. */
  readonly places: number;
  readonly mustInclude: ReadonlySet<string>;
  readonly optional: ReadonlySet<string>;
  readonly weights: ReadonlyMap<string, number>;
  readonly voter: (event: Event) => string;
  readonly vote: (event: Event) => Vote;
  readonly withinMs: number;
}

/** An open quorum: bounded, whatever the number of events. Plain JSON. */
export interface QuorumState extends Collected {
  readonly votes: readonly CountedVote[];
  readonly ignored: number;
  readonly notListed: number;
}

/** Whether a voter is listed, has voted before, or finds a free place. */
export const maySpeak = (rule: QuorumRule<never>, state: QuorumState, voter: string): boolean =>
  isVoter(voter) &&
  (rule.named.has(voter) ||
    rule.optional.has(voter) ||
    freePlaces(rule, state) > 0 ||
    state.votes.some((vote) => vote.voter === voter));

const weightOf = (rule: QuorumRule<never>, voter: string): number => rule.weights.get(voter) ?? 1;

export const weigh = (
  rule: QuorumRule<never>,
  state: QuorumState,
  counts: (vote: CountedVote) => boolean,
): number => state.votes.filter(counts).reduce((sum, { voter }) => sum + weightOf(rule, voter), 0);

/** The voters known by name who have not voted and are waited for. */
export function awaited(rule: QuorumRule<never>, state: QuorumState): readonly string[] {
  const voted = new Set(state.votes.map(({ voter }) => voter));
  return [...rule.named].filter((voter) => !voted.has(voter));
}

const freePlaces = (rule: QuorumRule<never>, state: QuorumState): number =>
  rule.places -
  state.votes.filter(({ voter }) => !rule.named.has(voter) && !rule.optional.has(voter)).length;

/** The most that the awaited votes can weigh: free places go to the heaviest who may take them. */
export function awaitedWeight(rule: QuorumRule<never>, state: QuorumState): number {
  const voted = new Set(state.votes.map(({ voter }) => voter));
  const free = freePlaces(rule, state);
  const heaviest = [...rule.weights]
    .filter(([voter]) => !(voted.has(voter) || rule.named.has(voter) || rule.optional.has(voter)))
    .map(([, weight]) => weight)
    .sort((a, b) => b - a)
    .slice(0, free);
  const sum = (weights: readonly number[]) => weights.reduce((total, weight) => total + weight, 0);
  const named = awaited(rule, state).map((voter) => weightOf(rule, voter));
  return sum(named) + sum(heaviest) + (free - heaviest.length);
}

export const isVoter = (voter: unknown): voter is string =>
  typeof voter === 'string' && voter.length > 0 && voter.length <= LIMITS.attributeCharactersMax;
