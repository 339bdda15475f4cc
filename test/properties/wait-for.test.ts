import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Delivery, TidegateEvent } from '../../src/model/event.ts';
import { createInbox } from '../../src/workflows/inbox.ts';
import {
  type WaitForResult,
  type WaitForState,
  waitForCore,
  waitForResult,
  waitForRule,
} from '../../src/workflows/primitives/wait-for.ts';
import { testEvent } from '../support/events.ts';

type Letter = 'a' | 'b' | 'c';
type Thing = TidegateEvent<string, { readonly letter: Letter }>;
interface Arrival {
  readonly at: number;
  readonly delivery: Delivery;
}

const OPENED_AT = 1_000;
const WITHIN_MS = 2_000;
const DEADLINE = OPENED_AT + WITHIN_MS;
const is =
  (letter: Letter) =>
  ({ data }: Thing): boolean =>
    data.letter === letter;

/**
 * Waits for a letter as `collect` does, through JSON at every step: what had come is offered first,
 * then what comes, in order, until it is over. Time goes to where the arrivals or the deadline are.
 */
function wait(
  inbox: ReturnType<typeof createInbox>,
  arrivals: readonly Arrival[],
  wanted: Letter,
  from = OPENED_AT,
) {
  const core = waitForCore(waitForRule(is(wanted), { within: WITHIN_MS }));
  let now = from;
  let state: WaitForState<Thing> = core.start(undefined, now);
  const closedBy = () => {
    const verdict = core.verdict(state, now);
    if ('closedBy' in verdict) return verdict.closedBy;
    assert.equal(verdict.dueAt, from + WITHIN_MS);
    return undefined;
  };
  inbox.collectWith(({ event }) => {
    if (closedBy() !== undefined) return 'refused';
    if (core.wants?.(state, event as Thing, now) === false) return 'left';
    state = JSON.parse(JSON.stringify(core.accept(state, event as Thing, now)));
    return 'taken';
  });
  let duplicates = 0;
  const later: Arrival[] = [];
  for (const arrival of arrivals) {
    if (closedBy() !== undefined || arrival.at >= from + WITHIN_MS) {
      later.push(arrival);
      continue;
    }
    now = Math.max(now, arrival.at);
    duplicates += inbox.accept([arrival.delivery], now);
  }
  if (closedBy() === undefined) now = from + WITHIN_MS;
  const reason = closedBy();
  assert.ok(reason !== undefined, 'it must have ended at its deadline');
  inbox.collectWith(undefined);
  const result: WaitForResult<Thing> = waitForResult(state, { closedBy: reason });
  return { result, state, later, now, duplicates };
}

const delivery = (number: number, letter: Letter): Delivery => ({
  number,
  event: testEvent({ id: `event-${number}`, data: { letter } }),
});
const letters = fc.array(fc.constantFrom<Letter>('a', 'b', 'c'), { maxLength: 20 });
/** Letters that had come, and letters that come, each some time after the one before. */
const timelines = fc
  .record({
    early: letters,
    coming: fc.array(
      fc.record({ letter: fc.constantFrom<Letter>('a', 'b', 'c'), afterMs: fc.nat(1_200) }),
      { maxLength: 20 },
    ),
  })
  .map(({ early, coming }) => {
    let at = OPENED_AT;
    return {
      early: early.map((letter, index) => delivery(index + 1, letter)),
      coming: coming.map(({ letter, afterMs }, index): Arrival => {
        at += afterMs;
        return { at, delivery: delivery(early.length + index + 1, letter) };
      }),
    };
  });
const letterOf = ({ event }: Delivery): Letter => (event as Thing).data.letter;
const inboxWith = (early: readonly Delivery[]) => {
  const inbox = createInbox();
  inbox.accept(early, OPENED_AT);
  return inbox;
};
const numbersOf = (deliveries: readonly Delivery[]): readonly number[] =>
  deliveries.map(({ number }) => number);

describe('waitFor, over random timelines', () => {
  it('ends with the first event in order that matches, also one that had come before', () => {
    fc.assert(
      fc.property(timelines, ({ early, coming }) => {
        const { result } = wait(inboxWith(early), coming, 'a');
        const inTime = [
          ...early,
          ...coming.filter(({ at }) => at < DEADLINE).map((a) => a.delivery),
        ];
        const first = inTime.find((each) => letterOf(each) === 'a');
        assert.deepEqual(
          result,
          first === undefined
            ? { status: 'timedOut', closedBy: 'deadline' }
            : { status: 'received', event: first.event },
        );
      }),
    );
  });

  it('takes that event and no other: all the rest stays, in order', () => {
    fc.assert(
      fc.property(timelines, ({ early, coming }) => {
        const inbox = inboxWith(early);
        const { result, later } = wait(inbox, coming, 'a');
        const all = [...early, ...coming.map((arrival) => arrival.delivery)];
        const left = [...inbox.queued(), ...later.map((arrival) => arrival.delivery)];
        const taken = result.status === 'received' ? result.event.id : '';
        assert.deepEqual(numbersOf(left), numbersOf(all.filter(({ event }) => event.id !== taken)));
      }),
    );
  });

  it('never waits past its deadline, and takes nothing from then on', () => {
    fc.assert(
      fc.property(timelines, ({ early, coming }) => {
        const { result, now, state } = wait(inboxWith(early), coming, 'a');
        assert.ok(now <= DEADLINE);
        assert.ok(result.status === 'timedOut' ? now === DEADLINE : state.lastAt < DEADLINE);
        assert.deepEqual(
          [state.count, state.firstAt],
          [result.status === 'received' ? 1 : 0, OPENED_AT],
        );
      }),
    );
  });

  it('is changed by no delivery that comes twice', () => {
    fc.assert(
      fc.property(timelines, fc.infiniteStream(fc.boolean()), ({ early, coming }, coins) => {
        const plain = inboxWith(early);
        const once = wait(plain, coming, 'a');
        const repeated = coming.flatMap((arrival) =>
          coins.next().value ? [arrival, arrival] : [arrival],
        );
        const inbox = inboxWith([...early, ...early]);
        const twice = wait(inbox, repeated, 'a');
        assert.deepEqual([twice.result, twice.state], [once.result, once.state]);
        assert.deepEqual(inbox.queued(), plain.queued());
      }),
    );
  });

  it('finds two events by two waits in whichever order they came', () => {
    fc.assert(
      fc.property(timelines, ({ early, coming }) => {
        const inbox = inboxWith(early);
        const one = wait(inbox, coming, 'b');
        const two = wait(inbox, one.later, 'a', one.now);
        const all = [...early, ...coming.map((arrival) => arrival.delivery)];
        const first = (letter: Letter) => all.find((each) => letterOf(each) === letter)?.event;
        if (one.result.status === 'received') assert.deepEqual(one.result.event, first('b'));
        if (two.result.status === 'received') assert.deepEqual(two.result.event, first('a'));
        const isEarly = (letter: Letter) => early.some((each) => letterOf(each) === letter);
        if (isEarly('b')) assert.equal(one.result.status, 'received');
        if (isEarly('a')) assert.equal(two.result.status, 'received');
      }),
    );
  });

  it('without any time to wait, counts what has come', () => {
    const rule = waitForRule(is('a'), { within: 0 });
    const core = waitForCore(rule);
    const start = core.start(undefined, OPENED_AT);
    assert.deepEqual(core.verdict(start, OPENED_AT), { dueAt: OPENED_AT + 1 });
    assert.deepEqual(core.verdict(start, OPENED_AT + 1), { closedBy: 'deadline' });
  });

  it('refuses a time that is none, naming the option', () => {
    assert.throws(() => waitForRule(is('a'), { within: -1 }), {
      code: 'duration_invalid',
      message: /waitFor within/,
    });
  });
});
