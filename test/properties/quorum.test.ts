import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TidegateEvent } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import {
  type QuorumOptions,
  type QuorumResult,
  quorumCore,
  quorumResult,
  quorumRule,
} from '../../src/workflows/primitives/quorum.ts';
import type { QuorumState, Vote } from '../../src/workflows/tally.ts';
import { testEvent } from '../support/events.ts';

interface Said {
  readonly voter: string;
  readonly vote: Vote;
}
type Ballot = TidegateEvent<string, Said>;
type Settings = Omit<QuorumOptions<Ballot>, 'voter' | 'vote' | 'within'>;
interface Arrival {
  readonly at: number;
  readonly event: Ballot;
}

const OPENED_AT = 1_000;
const WITHIN_MS = 2_000;
const DEADLINE = OPENED_AT + WITHIN_MS;
const ballots = { voter: ({ data }: Ballot) => data.voter, vote: ({ data }: Ballot) => data.vote };
const ruleOf = (settings: Settings) =>
  quorumRule<Ballot>({ ...settings, ...ballots, within: WITHIN_MS });

/** Drives the pure rule over a timeline as the waiting loop does, through JSON at every step. */
function drive(settings: Settings, arrivals: readonly Arrival[], opener?: Ballot) {
  const rule = ruleOf(settings);
  const core = quorumCore(rule);
  const throughJson = (state: QuorumState): QuorumState => JSON.parse(JSON.stringify(state));
  let state = throughJson(core.start(opener, OPENED_AT));
  let taken = 0;
  const closedAt = (now: number): QuorumResult | undefined => {
    const verdict = core.verdict(state, now);
    if ('closedBy' in verdict) return quorumResult(rule, state, { ...verdict, now });
    assert.equal(verdict.dueAt, DEADLINE);
    return undefined;
  };
  const atOnce = closedAt(OPENED_AT);
  if (atOnce !== undefined) return { result: atOnce, taken, state };
  for (const { at, event } of arrivals) {
    const before = closedAt(Math.min(at, DEADLINE));
    if (before !== undefined) return { result: before, taken, state };
    state = throughJson(core.accept(state, event, at));
    taken += 1;
    const after = closedAt(at);
    if (after !== undefined) return { result: after, taken, state };
  }
  const result = closedAt(DEADLINE);
  assert.ok(result !== undefined, 'a quorum must have ended at its deadline');
  return { result, taken, state };
}

/**
 * The oracle knows nothing of sums that are still possible: it tries every completion. `pool` are
 * all people there are, more than there can be places.
 */
function oracle(settings: Settings, said: readonly Said[], pool: readonly string[]) {
  const { need, of = Number.POSITIVE_INFINITY, mustInclude = [], optional = [] } = settings;
  const places = typeof of === 'number' ? of : 0;
  const mayVote = (voter: string, votes: ReadonlyMap<string, Vote>): boolean => {
    if (mustInclude.includes(voter) || optional.includes(voter)) return true;
    if (typeof of !== 'number') return of.includes(voter);
    const seated = [...votes.keys()].filter((other) => !optional.includes(other));
    return new Set([...seated, ...mustInclude, voter]).size <= places;
  };
  const votes = new Map<string, Vote>();
  for (const { voter, vote } of said) {
    if (vote !== 'ignore' && mayVote(voter, votes)) votes.set(voter, vote);
  }
  const passes = (some: ReadonlyMap<string, Vote>): boolean => {
    const yes = [...some].filter(([, vote]) => vote === 'yes').map(([voter]) => voter);
    const weight = yes.reduce((sum, voter) => sum + (settings.weight?.[voter] ?? 1), 0);
    return weight >= need && mustInclude.every((voter) => yes.includes(voter));
  };
  const completions = (from: ReadonlyMap<string, Vote>): ReadonlyMap<string, Vote>[] => {
    let all: ReadonlyMap<string, Vote>[] = [from];
    for (const voter of pool) {
      if (from.has(voter) || optional.includes(voter)) continue;
      all = all.flatMap((some) =>
        mayVote(voter, some) ? [some, new Map([...some, [voter, 'yes' as const]])] : [some],
      );
    }
    return all;
  };
  const outcome = (): QuorumResult['status'] | 'open' => {
    if ([...votes.values()].includes('veto')) return 'refused';
    const all = completions(votes);
    if (all.every(passes)) return 'reached';
    if (all.some(passes)) return 'open';
    if (mustInclude.some((voter) => votes.get(voter) === 'no')) return 'impossible';
    const allWilling = new Map([...votes.keys()].map((voter) => [voter, 'yes' as const]));
    return completions(allWilling).some(passes) ? 'refused' : 'impossible';
  };
  return { votes, outcome: outcome() };
}

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;
const names = fc.subarray([...NAMES], { maxLength: 5 });

const settings: fc.Arbitrary<Settings> = fc
  .record({
    need: fc.integer({ min: 1, max: 6 }),
    of: fc.oneof(
      names,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(['a', 'b', 'c'], ['a', 'b', 'c', 'd']),
    ),
    mustInclude: fc.subarray(['a', 'b'], { maxLength: 1 }),
    optional: fc.subarray(['c', 'g']),
    weight: fc.dictionary(fc.constantFrom(...NAMES), fc.integer({ min: 1, max: 3 })),
  })
  .map(({ optional, of, ...rest }) => ({ ...rest, of, optional }));

const timelines = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 }), fc.constant(WITHIN_MS)),
      voter: fc.constantFrom(...NAMES),
      vote: fc.oneof(
        { weight: 5, arbitrary: fc.constant<Vote>('yes') },
        { weight: 4, arbitrary: fc.constant<Vote>('no') },
        { weight: 2, arbitrary: fc.constant<Vote>('ignore') },
        { weight: 1, arbitrary: fc.constantFrom<Vote>('veto', 'no') },
      ),
    }),
    { maxLength: 16, size: 'large' },
  )
  .map((steps): readonly Arrival[] => {
    let at = OPENED_AT;
    return steps.map(({ gap, voter, vote }, index) => {
      at += gap;
      return { at, event: testEvent({ id: `e${index}`, data: { voter, vote } }) };
    });
  });

const property = (
  check: (settings: Settings, arrivals: readonly Arrival[]) => void,
  numRuns = 3_000,
): void => {
  fc.assert(fc.property(settings, timelines, check), { numRuns });
};

describe('quorum, as a pure rule over random timelines', function () {
  this.timeout(60_000);

  it('ends with the very vote after which every completion of the awaited votes agrees, and not before', () => {
    const seen = new Map<string, number>();
    property((options, arrivals) => {
      const inTime = arrivals.filter(({ at }) => at < DEADLINE).map(({ event }) => event.data);
      const ends = [...Array(inTime.length + 1).keys()].find(
        (taken) => oracle(options, inTime.slice(0, taken), NAMES).outcome !== 'open',
      );
      const { result, taken } = drive(options, arrivals);
      const expected =
        ends === undefined ? 'timedOut' : oracle(options, inTime.slice(0, ends), NAMES).outcome;
      assert.deepEqual([result.status, taken], [expected, ends ?? inTime.length]);
      seen.set(result.closedBy, (seen.get(result.closedBy) ?? 0) + 1);
    });
    for (const reason of ['need', 'no', 'veto', 'mustInclude', 'tooFewVoters', 'deadline']) {
      assert.ok((seen.get(reason) ?? 0) > 20, `${reason} came ${seen.get(reason)} times`);
    }
  });

  it('counts each voter once, with the last vote to come', () => {
    property((options, arrivals) => {
      const { result, taken } = drive(options, arrivals);
      const said = arrivals.slice(0, taken).map(({ event }) => event.data);
      const { votes } = oracle(options, said, NAMES);
      assert.deepEqual(new Map(result.votes.map(({ voter, vote }) => [voter, vote])), votes);
      assert.equal(result.votes.length, votes.size);
    });
  });

  it('ends at the deadline at the latest, timed out only there, and takes nothing after it', () => {
    property((options, arrivals) => {
      const { result, taken } = drive(options, arrivals);
      assert.ok(result.closedAt <= DEADLINE);
      if (result.status === 'timedOut') assert.equal(result.closedAt, DEADLINE);
      assert.ok(arrivals.slice(0, taken).every(({ at }) => at < DEADLINE));
    });
  });

  it('accounts for every event that it took', () => {
    property((options, arrivals) => {
      const { result, taken, state } = drive(options, arrivals);
      const replaced = taken - result.votes.length - result.ignored - result.notListed;
      assert.ok(replaced >= 0);
      assert.equal(state.count, taken);
      assert.equal(
        result.ignored,
        arrivals.slice(0, taken).filter(({ event }) => event.data.vote === 'ignore').length,
      );
    });
  });

  it('is not changed by an optional voter who is silent, nor by voters who are not listed', () => {
    property((options, arrivals) => {
      if (typeof options.of === 'number') return;
      const listed = new Set([...(options.of ?? []), ...(options.mustInclude ?? [])]);
      const stranger = (voter: string) => !listed.has(voter) && !options.optional?.includes(voter);
      const without = arrivals.filter(({ event }) => !stranger(event.data.voter));
      const plain = drive(options, without).result;
      const withSilent = { ...options, optional: [...(options.optional ?? []), 'silent'] };
      const full = drive(withSilent, arrivals).result;
      assert.deepEqual(
        [full.status, full.closedBy, full.yes, full.no, full.votes, full.closedAt],
        [plain.status, plain.closedBy, plain.yes, plain.no, plain.votes, plain.closedAt],
      );
    });
  });

  it('counts the event that opened the run like any other vote', () => {
    property((options, arrivals) => {
      const [first, ...others] = arrivals;
      if (first === undefined) return;
      const atOnce = drive(options, [{ ...first, at: OPENED_AT }, ...others]);
      if (atOnce.taken === 0) return;
      const offered = drive(options, others, first.event);
      assert.deepEqual(offered.result, atOnce.result);
    });
  });

  it('stays bounded with any number of voters, and ends when no place is left', () => {
    const rule = ruleOf({ need: 150 });
    const core = quorumCore(rule);
    let state = core.start(undefined, OPENED_AT);
    for (let n = 0; n < 5_000; n += 1) {
      const data: Said = { voter: `voter ${n}`, vote: n % 2 === 0 ? 'yes' : 'no' };
      state = core.accept(state, testEvent({ id: `e${n}`, data }), OPENED_AT);
    }
    assert.equal(state.votes.length, LIMITS.quorumVotersMax);
    assert.equal(state.notListed, 5_000 - LIMITS.quorumVotersMax);
    assert.deepEqual(core.verdict(state, OPENED_AT), { closedBy: 'no' });
  });
});

describe('quorum, rule by rule', () => {
  const run = (options: Settings, ...said: readonly `${string} ${Vote}`[]) => {
    const arrivals = said.map((text, index): Arrival => {
      const [voter = '', vote] = text.split(' ') as [string, Vote];
      return {
        at: OPENED_AT + index,
        event: testEvent({ id: `e${index}`, data: { voter, vote } }),
      };
    });
    const { result, taken } = drive(options, arrivals);
    return [result.status, result.closedBy, taken];
  };
  const of = ['a', 'b', 'c'];

  it('is reached by need, without those who are missing', () => {
    assert.deepEqual(run({ need: 2, of }, 'a yes', 'b yes', 'c no'), ['reached', 'need', 2]);
  });
  it('takes the last vote of a voter', () => {
    assert.deepEqual(run({ need: 2, of }, 'a no', 'a yes', 'b yes'), ['reached', 'need', 3]);
    assert.deepEqual(run({ need: 2, of }, 'a yes', 'a yes'), ['timedOut', 'deadline', 2]);
  });
  it('is refused by so many no that need cannot be met, and by a veto at once', () => {
    assert.deepEqual(run({ need: 2, of }, 'a no', 'b no', 'c yes'), ['refused', 'no', 2]);
    assert.deepEqual(run({ need: 2, of }, 'a veto', 'b yes'), ['refused', 'veto', 1]);
  });
  it('is impossible when a mustInclude voter says no, and with too few voters', () => {
    const must = { need: 2, of, mustInclude: ['a'] };
    assert.deepEqual(run(must, 'a no', 'b yes'), ['impossible', 'mustInclude', 1]);
    assert.deepEqual(run(must, 'b yes', 'c yes', 'a yes'), ['reached', 'need', 3]);
    assert.deepEqual(run({ need: 2, of: [] }), ['impossible', 'tooFewVoters', 0]);
  });
  it('never waits for an optional voter, whose vote counts when it comes', () => {
    const options = { need: 2, of: ['a', 'b'], optional: ['o'] };
    assert.deepEqual(run(options, 'a no', 'o yes'), ['refused', 'no', 1]);
    assert.deepEqual(run(options, 'o yes', 'a no', 'b yes'), ['reached', 'need', 3]);
  });
  it('weighs votes', () => {
    assert.deepEqual(run({ need: 3, of, weight: { a: 2 } }, 'a yes', 'b yes'), [
      'reached',
      'need',
      2,
    ]);
    assert.deepEqual(run({ need: 3, of, weight: { a: 2 } }, 'a no'), ['refused', 'no', 1]);
  });
  it('keeps a place for mustInclude voters when of is a number', () => {
    const options = { need: 2, of: 2, mustInclude: ['a'] };
    assert.deepEqual(run(options, 'x yes', 'y yes', 'a yes'), ['reached', 'need', 3]);
  });
});

describe('quorum options', () => {
  const refused = (options: Partial<QuorumOptions<Ballot>>, code: string, naming: RegExp): void => {
    assert.throws(
      () => quorumRule({ need: 1, within: '1h', ...ballots, ...options }),
      (error: { code?: string; message: string }) =>
        error.code === code && naming.test(error.message),
    );
  };
  it('names the option that is wrong', () => {
    refused({ need: 0 }, 'option_invalid', /need/);
    refused({ within: -1 }, 'duration_invalid', /within/);
    refused({ of: 0 }, 'option_invalid', /of/);
    refused({ of: 1, mustInclude: ['a', 'b'] }, 'option_invalid', /mustInclude/);
    refused({ mustInclude: ['a'], optional: ['a'] }, 'option_invalid', /"a".*optional/);
    refused({ weight: { a: 0.5 } }, 'option_invalid', /weight of "a"/);
    refused({ of: [''] }, 'option_invalid', /1 to 512/);
    refused({ of: LIMITS.quorumVotersMax + 1 }, 'option_invalid', /200 voters/);
  });
  it('refuses what a flow calls a vote and is none', () => {
    const core = quorumCore(ruleOf({ need: 1 }));
    const event = testEvent({ id: 'e', data: { voter: 'a', vote: 'maybe' as Vote } });
    assert.throws(() => core.start(event, 0), /vote must give .* got "maybe"/);
  });
});
