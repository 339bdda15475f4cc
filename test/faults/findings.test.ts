import assert from 'node:assert/strict';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { EventRow } from '../../src/journal/rows.ts';
import type { Effect } from './receiver.ts';
import { type Facts, findings } from './soak/findings.ts';
import type { PlannedRequest } from './soak/plan.ts';

const FLOWS = ['digest', 'ledger', 'record'];

const requests: readonly PlannedRequest[] = [
  { atMs: 0, id: 'a', customer: 'c1', fate: 'plain' },
  { atMs: 1, id: 'b', customer: 'c1', fate: 'parks' },
  { atMs: 2, id: 'bad', customer: 'c1', fate: 'plain', flaw: 'breaks_contract' },
  { atMs: 3, id: 'a', customer: 'c1', fate: 'plain' },
];

const settled = { outcome: 'completed' };
/** One event with its deliveries, of which flows by a customer's key have this number. */
function row(id: string, number: number, parks = false): EventRow {
  const deliveries = FLOWS.map((flow) => ({
    flow,
    run: flow === 'record' ? `record:default:http/${id}` : `${flow}:default:c1`,
    number: flow === 'record' ? 1 : number,
    state: 'settled',
    ...(parks && flow === 'record' ? {} : { settlement: settled }),
  }));
  return { event: { id }, deliveries } as unknown as EventRow;
}
const effect = (path: string, body: object): [string, Effect] => [
  `${path} ${JSON.stringify(body)}`,
  { path, body, calls: 1 },
];
const parked = { kind: 'parked', run: 'record:default:http/b' } as unknown as DeadLetter;
const rejected = { kind: 'rejected', id: 'bad' } as unknown as DeadLetter;

/** What a run with two orders and one bad request comes to. */
const good: Facts = {
  plan: { requests },
  answers: [
    { id: 'a' },
    { id: 'a', httpStatus: 503, code: 'journal_unavailable', hasRetryAfter: true },
    { id: 'a', httpStatus: 202, result: 'accepted' },
    { id: 'b', httpStatus: 202, result: 'accepted' },
    { id: 'bad', httpStatus: 422, code: 'contract_violation' },
    { id: 'a', httpStatus: 202, result: 'duplicate' },
  ],
  effects: new Map([
    effect('/reserved', { order: 'a' }),
    effect('/ledger', { customer: 'c1', orders: ['a'] }),
    effect('/confirmed', { order: 'a' }),
    effect('/digest', { customer: 'c1', orders: ['a', 'b'] }),
    effect('/ledger', { customer: 'c1', orders: ['b'] }),
  ]),
  conflicts: [],
  calledBy: new Map([['record:default:http/a/1/http.post#1', ['execution-1']]]),
  events: new Map([
    ['a', [row('a', 1)]],
    ['b', [row('b', 2, true)]],
  ]),
  emitted: [],
  deadLetters: [rejected, parked],
  openWorkflows: ['record:default:http/b'],
  earlyEnds: [{ process: 'worker-1', output: 'the journal is away [journal_unavailable]' }],
  exitCodes: new Map([['ingress-1', 0]]),
  complaints: [],
};

const without = (path: string): Facts['effects'] =>
  new Map([...good.effects].filter(([, effect]) => effect.path !== path));
const unsettled = (): EventRow => {
  const { event, deliveries } = row('a', 1);
  const state = 'sent';
  return {
    event,
    deliveries: deliveries.map(({ settlement: _none, ...rest }) => ({ ...rest, state })),
  } as unknown as EventRow;
};
const lost = (): EventRow => {
  const { event, deliveries } = row('a', 1);
  return {
    event,
    deliveries: deliveries.map((delivery) => ({ ...delivery, settlement: { outcome: 'lost' } })),
  } as unknown as EventRow;
};

/** What goes wrong, and the beginning of what is found. */
const faults: Readonly<Record<string, readonly [Partial<Facts>, RegExp]>> = {
  'an accepted event that the journal does not have': [
    { events: new Map([['b', [row('b', 1, true)]]]) },
    /the journal has a 0 times/,
  ],
  'an event that is there twice': [
    { events: new Map([...good.events, ['a', [row('a', 1), row('a', 3)]]]) },
    /the journal has a 2 times/,
  ],
  'a bad request that became an event': [
    { events: new Map([...good.events, ['bad', [row('bad', 3)]]]) },
    /the journal has bad 1 times, not 0/,
  ],
  'a delivery without an outcome': [
    { events: new Map([...good.events, ['a', [unsettled()]]]) },
    /has the outcome none \(sent\)/,
  ],
  'a lost delivery': [{ events: new Map([...good.events, ['a', [lost()]]]) }, /the outcome lost/],
  'a gap in the numbers': [
    { events: new Map([...good.events, ['b', [row('b', 3, true)]]]) },
    /has the numbers 1,3/,
  ],
  'an identity that was new twice': [
    { answers: [...good.answers, { id: 'a', httpStatus: 202, result: 'accepted' }] },
    /a was told 2 times to be accepted/,
  ],
  'a 500': [
    { answers: [{ id: 'bad', httpStatus: 500, code: 'internal_error' }] },
    /bad was answered 500 internal_error where 422 is due/,
  ],
  'a 503 that does not say when': [{ answers: [{ id: 'a', httpStatus: 503 }] }, /answered 503/],
  'a good event that was refused': [{ answers: [{ id: 'a', httpStatus: 422 }] }, /answered 422/],
  'an effect that is missing': [{ effects: without('/confirmed') }, /a \(plain\) did \/reserved/],
  'an effect under two keys': [
    {
      effects: new Map([
        ...good.effects,
        ['again', { path: '/reserved', body: { order: 'a' }, calls: 1 }],
      ]),
    },
    /did \/reserved \/confirmed \/reserved where/,
  ],
  'an effect of nobody': [
    { effects: new Map([...good.effects, effect('/reserved', { order: 'z' })]) },
    /z did \/reserved, and was never an order/,
  ],
  'two effects out of order': [
    { effects: new Map([...good.effects].reverse()) },
    /ledger:default:c1 did b a at place 1 of 2, where a b is due/,
  ],
  'a window that lost an event': [
    {
      effects: new Map([
        ...without('/digest'),
        effect('/digest', { customer: 'c1', orders: ['a'] }),
      ]),
    },
    /digest:default:c1 did nothing at place 2 of 2, where b is due/,
  ],
  'a key with two bodies': [{ conflicts: ['k'] }, /the key k was used for two effects/],
  'an event that two executions have worked on': [
    { calledBy: new Map([['k', ['execution-1', 'execution-2']]]) },
    /the key k was called for by execution-1 and execution-2/,
  ],
  'a dead letter that nobody planned': [
    {
      deadLetters: [...good.deadLetters, { kind: 'lost', run: 'ledger:default:c1' } as DeadLetter],
    },
    /there is a dead letter: lost ledger:default:c1/,
  ],
  'a dead letter that is missing': [
    { deadLetters: [parked] },
    /there is no dead letter: rejected bad/,
  ],
  'a parked workflow that has ended': [{ openWorkflows: [] }, /the workflow of b, which is parked/],
  'a workflow that goes on': [
    { openWorkflows: [...good.openWorkflows, 'digest:default:c1'] },
    /the workflow of digest:default:c1 has not ended/,
  ],
  'a process that fell over': [
    { earlyEnds: [{ process: 'ingress-1', output: 'TypeError' }] },
    /ingress-1 ended by itself: TypeError/,
  ],
  'a process that could not end': [
    { exitCodes: new Map([['worker-1', 1]]) },
    /worker-1 ended with 1/,
  ],
  'a line that no process should print': [
    { complaints: ['x: unhandled'] },
    /printed: x: unhandled/,
  ],
};

describe('what is found after random faults', () => {
  it('is nothing when all is well', () => {
    assert.deepEqual(findings(good), []);
  });
  for (const [what, [change, expected]] of Object.entries(faults)) {
    it(`is ${what}`, () => {
      const found = findings({ ...good, ...change });
      assert.ok(
        found.some((finding) => expected.test(finding)),
        `found ${JSON.stringify(found)}`,
      );
    });
  }
});
