import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TidegateEvent } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import {
  closeWindow,
  foldEvent,
  openWindow,
  timeOf,
  type Window,
  type WindowOptions,
  type WindowState,
} from '../../src/workflows/window.ts';
import type { Change, Scalar } from '../../src/workflows/window-summary.ts';
import { testEvent } from '../support/events.ts';

type Data = Readonly<Record<string, unknown>>;
type Event = TidegateEvent<string, Data>;

const fold = (
  events: readonly Event[],
  options: WindowOptions<Event>,
  between: (state: WindowState<Event>) => WindowState<Event> = (state) => state,
): WindowState<Event> => {
  const [first, ...rest] = events;
  let state = openWindow(options, first as Event, 0);
  for (const [index, event] of rest.entries()) {
    state = foldEvent(options, between(state), event, index + 1);
  }
  return state;
};

const close = (state: WindowState<Event>): Window<Event> =>
  closeWindow(state, {
    key: 'k',
    closedBy: 'every',
    duplicates: 0,
    deliveries: { from: 1, through: state.count },
  });

/** The same from the whole list, said as plainly as it can be. */
function recomputed(events: readonly Event[], options: WindowOptions<Event>): Window<Event> {
  const arrivals = events.map((event, now) => ({ event, now, time: timeOf(event, now) }));
  const newestOf = <Arrival extends (typeof arrivals)[number]>(of: readonly Arrival[]): Arrival =>
    of.reduce((newest, next) => (next.time >= newest.time ? next : newest));
  const { groupBy } = options;
  const names = groupBy === undefined ? [] : [...new Set(events.map(groupBy))];
  const groups = names.map((name) => {
    const members = arrivals.filter(({ event }) => groupBy?.(event) === name);
    const { event } = newestOf(members);
    return [
      name,
      {
        count: members.length,
        firstAt: members[0]?.now as number,
        lastAt: members.at(-1)?.now as number,
        status: options.status?.(event) ?? event.type,
      },
    ] as const;
  });
  const changes = options.changes ? events.flatMap(options.changes) : changesBySubject(arrivals);
  const distinct = [...new Set(changes.map((change) => JSON.stringify(change)))];
  const topChanges = distinct
    .map((text) => ({
      ...(JSON.parse(text) as Change),
      count: changes.filter((change) => JSON.stringify(change) === text).length,
    }))
    .sort((a, b) => b.count - a.count)
    .slice(0, 10);
  const criticals = options.critical === undefined ? [] : events.filter(options.critical);
  const types = [...new Set(events.map(({ type }) => type))];
  return {
    key: 'k',
    firstAt: 0,
    lastAt: events.length - 1,
    count: events.length,
    duplicates: 0,
    late: arrivals.filter(
      ({ time }, index) => time < Math.max(...arrivals.slice(0, index).map((other) => other.time)),
    ).length,
    closedBy: 'every',
    first: events[0] as Event,
    last: newestOf(arrivals).event,
    byType: Object.fromEntries(
      types.map((type) => [type, events.filter((event) => event.type === type).length]),
    ),
    groups: Object.fromEntries(groups),
    topChanges,
    criticals,
    criticalCount: criticals.length,
    actors: [...new Set(events.flatMap(({ actor }) => actor ?? []))],
    eventIds: events.map(({ id }) => id),
    events,
    truncated: false,
    deliveries: { from: 1, through: events.length },
  };
}

function changesBySubject(
  arrivals: readonly { readonly event: Event; readonly time: number }[],
): readonly Change[] {
  const changes: Change[] = [];
  const isScalar = (value: unknown): value is Scalar => value === null || typeof value !== 'object';
  for (const [index, { event, time }] of arrivals.entries()) {
    const before = arrivals.slice(0, index).filter((other, at, all) => {
      const isNewest = all
        .slice(0, at)
        .every((each) => each.event.subject !== event.subject || each.time <= other.time);
      return other.event.subject === event.subject && isNewest;
    });
    if (event.subject === undefined || before.some((other) => other.time > time)) continue;
    for (const [field, to] of Object.entries(event.data)) {
      const known = before.findLast(
        (other) => Object.hasOwn(other.event.data, field) && isScalar(other.event.data[field]),
      );
      const from = known?.event.data[field] as Scalar | undefined;
      if (from !== undefined && isScalar(to) && from !== to) changes.push({ field, from, to });
    }
  }
  return changes;
}

const names = fc.constantFrom('a', 'b', 'c', '', '__proto__', 'constructor', 'toString', '7');
const scalars = fc.oneof(
  fc.integer({ min: 0, max: 2 }),
  fc.constantFrom('open', 'won', '1', null, true, false),
);
const events: fc.Arbitrary<readonly Event[]> = fc
  .array(
    fc.record({
      type: fc.constantFrom('deal.changed', 'deal.closed'),
      subject: fc.option(names, { nil: undefined }),
      actor: fc.option(names, { nil: undefined }),
      time: fc.integer({ min: 0, max: 20 }),
      team: names,
      data: fc.dictionary(names, fc.oneof(scalars, scalars, fc.constant({ nested: 1 })), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
    }),
    { minLength: 1, maxLength: 25, size: 'large' },
  )
  .map((all) =>
    all.map(({ type, subject, actor, time, team, data }, index) =>
      testEvent({
        id: `e${index}`,
        type,
        time: new Date(time).toISOString(),
        origin: team,
        data,
        ...(subject === undefined ? {} : { subject }),
        ...(actor === undefined ? {} : { actor }),
      }),
    ),
  );

// A group is named by `origin`: data is any record here.
const asks: readonly WindowOptions<Event>[] = [
  {},
  { groupBy: ({ origin }) => origin },
  {
    groupBy: ({ origin }) => origin,
    status: ({ data }) => JSON.stringify(data).slice(0, 20),
    critical: ({ type }) => type === 'deal.closed',
  },
  { changes: ({ origin }) => [{ field: 'origin', from: null, to: origin }] },
];

describe('the summary of a window, folded from random events', () => {
  it('equals what is computed from the whole list, as long as no bound is reached', () => {
    fc.assert(
      fc.property(events, fc.constantFrom(...asks), (all, options) => {
        fc.pre(options.critical === undefined || all.filter(options.critical).length <= 20);
        assert.deepEqual(close(fold(all, options)), recomputed(all, options));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is the same when the state is carried as JSON after any event', () => {
    fc.assert(
      fc.property(events, fc.constantFrom(...asks), (all, options) => {
        const carried = fold(all, options, (state) => JSON.parse(JSON.stringify(state)));
        assert.deepEqual(close(carried), close(fold(all, options)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('goes on from the state of a build that had no summary', () => {
    fc.assert(
      fc.property(events, (all) => {
        const window = close(
          fold(all, {}, ({ summary: _, eventIdBytes: __, ...state }) => ({ ...state })),
        );
        const { groups, topChanges, actors, ...rest } = close(fold(all, {}));
        assert.deepEqual(
          { ...window, groups, topChanges, actors },
          { ...rest, groups, topChanges, actors },
        );
      }),
    );
  });
});

describe('the summary of a window of very many events', () => {
  const long = 'ü'.repeat(500);
  const sizes = (make: (index: number) => Event, options: WindowOptions<Event>) => {
    const first = make(0);
    let state = openWindow(options, first, 0);
    const bytes: number[] = [];
    for (let index = 1; index <= 20_000; index += 1) {
      state = foldEvent(options, state, make(index), index);
      if (index % 10_000 === 0) bytes.push(Buffer.byteLength(JSON.stringify(state)));
    }
    return { bytes, window: close(state) };
  };

  it('stays as large as it is, when every name and value is new', () => {
    const { bytes, window } = sizes(
      (index) =>
        testEvent({
          id: `${index}${long.slice(10)}`,
          subject: `${index % 300}${long.slice(10)}`,
          actor: `${index}${long}`,
          data: {
            state: `${index}`,
            note: `${index}${long.slice(0, 90)}`,
            group: `${index}${long}`,
          },
        }),
      { groupBy: ({ data }) => String(data.group), status: () => long, critical: () => true },
    );
    const [half = 0, all = 0] = bytes;
    assert.ok(all < 900_000, `${all} bytes`);
    // Numbers have one more digit.
    assert.ok(all - half < 100, `grew from ${half} to ${all} bytes`);
    assert.equal(window.count, 20_001);
    assert.equal(window.criticalCount, 20_001);
    assert.equal(window.truncated, true);
    assert.ok(Buffer.byteLength(JSON.stringify(window)) < 900_000);
  });

  it('keeps as many of each as its limits say, when they are small', () => {
    const { window } = sizes(
      (index) =>
        testEvent({
          id: `e${index}`,
          subject: 's',
          actor: `a${index}`,
          data: { group: `g${index}`, state: index },
        }),
      { groupBy: ({ data }) => String(data.group), critical: () => true },
    );
    assert.equal(Object.keys(window.groups).length, LIMITS.windowGroupsMax);
    assert.equal(window.actors.length, LIMITS.windowActorsMax);
    assert.equal(window.criticals.length, LIMITS.windowCriticalsMax);
    assert.equal(window.topChanges.length, LIMITS.windowTopChangesMax);
    assert.equal(window.events.length, LIMITS.windowEventsMax);
    assert.equal(window.eventIds.length, LIMITS.windowEventIdsMax);
    assert.equal(window.truncated, true);
  });

  it('counts exactly what it has begun to count', () => {
    const { window } = sizes(
      (index) =>
        testEvent({
          id: `e${index}`,
          subject: `s${index % 100}`,
          data: { state: index % 200 < 100 ? 'open' : 'won', noise: index },
        }),
      { groupBy: ({ subject }) => subject ?? '' },
    );
    assert.deepEqual(window.topChanges.slice(0, 2), [
      { field: 'state', from: 'open', to: 'won', count: 10_000 },
      { field: 'state', from: 'won', to: 'open', count: 9_901 },
    ]);
    assert.equal(window.groups.s0?.count, 201);
  });

  it('cuts long names, statuses and given values, and does not compare long ones', () => {
    const event = (id: string, note: string): Event =>
      testEvent({ id, subject: 's', data: { note, group: long } });
    const window = close(
      fold([event('a', long), event('b', `${long}!`)], {
        groupBy: ({ data }) => String(data.group),
        status: () => long,
      }),
    );
    assert.deepEqual(Object.keys(window.groups), [long.slice(0, 200)]);
    assert.equal(window.groups[long.slice(0, 200)]?.status.length, 200);
    assert.deepEqual(window.topChanges, []);
    const given = close(
      fold([event('a', 'x')], { changes: () => [{ field: long, from: null, to: long }] }),
    );
    const short = long.slice(0, 100);
    assert.deepEqual(given.topChanges, [{ field: short, from: null, to: short, count: 1 }]);
  });
});

describe('what a window is asked to tell', () => {
  const refused = (options: object, naming: RegExp): void => {
    const event: Event = testEvent({ id: 'e', data: {} });
    assert.throws(
      () => openWindow(options as WindowOptions<Event>, event, 0),
      (error: { code?: string; message: string }) =>
        error.code === 'option_invalid' && naming.test(error.message),
    );
  };

  it('is refused by the name of the option when a function gives the wrong thing', () => {
    refused({ groupBy: () => undefined }, /groupBy must give a text, got undefined/);
    refused({ groupBy: () => 'a', status: () => 7 }, /status must give a text, got 7/);
    refused({ changes: () => 'none' }, /changes must give a list/);
    refused({ changes: () => [null] }, /changes must give \{ field, from, to \}/);
    refused({ changes: () => [{ field: 'a', from: 1, to: {} }] }, /changes must give/);
  });
});
