import assert from 'node:assert/strict';
import { compileAll } from './compiler.ts';

const PREAMBLE = `
import {
  aggregate, approval, connector, debounce, emitFor, fanOut, flowsFor, park, quorum, readEvents, saga, waitFor,
} from 'tidegate/flow';
import type { events } from './events';
import type { crmConnector } from '../../examples/acme/connectors';
const flow = flowsFor<typeof events>();
const emit = emitFor<typeof events>();
const crm = connector<typeof crmConnector>('crm');
void [aggregate, approval, crm, debounce, emit, fanOut, flow, park, quorum, readEvents, saga, waitFor];
`;

/** A flow's body of one line, over deals or over deals and votes. */
const body = (line: string): string =>
  `flow({ on: 'deal.moved', run: async ({ data }, inbox) => { void data; void inbox; ${line} } });`;
const bodyOfVotes = (line: string): string =>
  `flow({ on: ['deal.moved', 'team.voted'], run: async (_, inbox) => { ${line} } });`;

const snippets = new Map<string, string>();
let messages: ReadonlyMap<string, string> = new Map();
const saysOf = (sentence: string): string => messages.get(sentence) ?? 'never compiled';

/** A test that the compiler has nothing to say. */
function accepts(sentence: string, lines: string): void {
  snippets.set(sentence, lines);
  it(sentence, () => {
    assert.equal(saysOf(sentence), '');
  });
}

/** Longer, nobody reads it: the data of a catalogue's events is repeated in the longest messages. */
const READABLE_CHARACTERS_MAX = 400;

/** A test that the compiler says this, and little else. */
function refuses(sentence: string, lines: string, says: RegExp): void {
  snippets.set(sentence, lines);
  it(sentence, () => {
    const said = saysOf(sentence);
    assert.match(said, says);
    assert.ok(said.length <= READABLE_CHARACTERS_MAX, `${said.length} characters: ${said}`);
  });
}

const noEvent = (name: string): RegExp =>
  new RegExp(`types '.*"team\\.voted".*' and '"${name}"' have no overlap`);
const noField = (name: string, meant: string): RegExp =>
  new RegExp(`'${name}' does not exist on type '\\{ dealId: .*Did you mean '${meant}'\\?`);
const noOption = (name: string, type: string): RegExp =>
  new RegExp(`'${name}' does not exist in type '${type}`);

describe('the types of a flow', function () {
  this.timeout(120_000);

  before(() => {
    messages = compileAll(new Map([...snippets].map(([name, text]) => [name, PREAMBLE + text])));
  });

  accepts(
    'accept a right one, with its data typed and no annotation',
    `export const digest = flow({
       on: 'deal.moved',
       where: (event) => event.data.amount >= 1_000,
       key: (event) => event.data.dealId,
       async run(first, inbox) {
         const window = await debounce(inbox, { quiet: '30s', atMost: '5m', urgent: (e) => e.data.amount > 9 });
         const deal = await crm.getDeal({ id: first.data.dealId });
         return deal.stage.length + window.last.data.amount;
       },
     });
     export const several = flow({
       on: ['deal.moved', 'team.voted'],
       run: async (event) => (event.type === 'deal.moved' ? event.data.amount : event.data.team),
     });`,
  );

  describe('in its head', () => {
    refuses(
      'refuse an event type that is not in the contract, naming it',
      `flow({ on: 'deal.vanished', run: async () => {} });`,
      /'"deal\.vanished"' is not assignable/,
    );
    refuses(
      'refuse one in a list, naming it',
      `flow({ on: ['deal.moved', 'deal.vanished'], run: async () => {} });`,
      /'"deal\.vanished"' is not assignable/,
    );
    refuses(
      'refuse an unknown field',
      `flow({ on: 'deal.moved', wehre: () => true, run: async () => {} });`,
      /'wehre' does not exist .* Did you mean to write 'where'/,
    );
    refuses(
      'refuse a misspelt field of the data',
      `flow({ on: 'deal.moved', key: (event) => event.data.dealID, run: async () => {} });`,
      noField('dealID', 'dealId'),
    );
    accepts(
      'take an origin, or several, and a fuse',
      `flow({ on: 'deal.moved', origin: 'human', fuse: { limit: 5, per: '1m' }, run: async () => {} });
       flow({ on: 'deal.moved', origin: ['system', 'flow'], fuse: false, run: async () => {} });`,
    );
    refuses(
      'refuse an origin that there is not',
      `flow({ on: 'deal.moved', origin: 'humans', run: async () => {} });`,
      /'"humans"' is not assignable/,
    );
    refuses(
      'refuse a filter that is not synchronous',
      `flow({ on: 'deal.moved', where: async () => true, run: async () => {} });`,
      /'Promise<boolean>' is not assignable to type 'boolean'/,
    );
  });

  describe('in a throttle or concurrency', () => {
    refuses(
      'refuse an unknown option of throttle',
      `flow({ on: 'deal.moved', throttle: { limit: 1, per: '1m', every: '1m' }, run: async () => {} });`,
      /'every' does not exist in type '\{ readonly limit: number; readonly per: Duration;/,
    );
    refuses(
      'refuse an unknown option of concurrency',
      `flow({ on: 'deal.moved', concurrency: { limit: 1, per: '1m' }, run: async () => {} });`,
      /'per' does not exist in type '\{ readonly limit: number; readonly by\?/,
    );
    refuses(
      'refuse an event type that throttle cannot get',
      `flow({ on: ['deal.moved', 'team.voted'], run: async () => {},
              throttle: { limit: 1, per: '1m', by: (e) => (e.type === 'deal.lost' ? 'a' : 'b') } });`,
      noEvent('deal.lost'),
    );
    refuses(
      'refuse a misspelt field of the data in both',
      `flow({ on: 'deal.moved', run: async () => {},
              throttle: { limit: 1, per: '1m', by: (event) => event.data.dealID },
              concurrency: { limit: 1, by: (event) => event.data.dealID } });`,
      new RegExp(`${noField('dealID', 'dealId').source}\n.*${noField('dealID', 'dealId').source}`),
    );
  });

  describe('of a debounce', () => {
    refuses(
      'refuse an unknown option of debounce',
      body(`await debounce(inbox, { quiet: '1s', atMost: '1m', max: 3 });`),
      noOption('max', 'DebounceOptions<'),
    );
    refuses(
      'refuse a missing bound',
      body(`await debounce(inbox, { quiet: '1s' });`),
      /'atMost' is missing .* but required in type 'DebounceOptions</,
    );
    refuses(
      'refuse a duration without a unit that exists',
      body(`await debounce(inbox, { quiet: '1 sec', atMost: '1m' });`),
      /^Type '"1 sec"' is not assignable to type 'Duration'\.$/,
    );
    refuses(
      'refuse an event type that debounce cannot get',
      bodyOfVotes(
        `await debounce(inbox, { quiet: '1s', atMost: '1m', urgent: (e) => e.type === 'deal.lost' });`,
      ),
      noEvent('deal.lost'),
    );
    refuses(
      'refuse a misspelt field of the data in an option and in the window',
      body(`const { last } = await debounce(inbox, {
              quiet: '1s', atMost: '1m', urgent: (e) => e.data.amout > 3 });
            return last.data.dealID;`),
      new RegExp(`${noField('amout', 'amount').source}\n.*${noField('dealID', 'dealId').source}`),
    );
  });

  // Which options exclude each other: aggregate.test.ts.
  describe('of an aggregate', () => {
    refuses(
      'refuse an unknown option of aggregate',
      body(`await aggregate(inbox, { every: '1h', max: 3 });`),
      noOption('max', 'Aggregate'),
    );
    refuses(
      'refuse an event type that aggregate cannot get',
      bodyOfVotes(
        `await aggregate(inbox, { every: '1h', groupBy: (e) => (e.type === 'deal.lost' ? 'a' : 'b') });`,
      ),
      noEvent('deal.lost'),
    );
    refuses(
      'refuse a misspelt field in an option of aggregate and in its window',
      body(`const { last } = await aggregate(inbox, { every: '1h', groupBy: (e) => e.data.dealID });
            return last.data.amout;`),
      new RegExp(`${noField('dealID', 'dealId').source}\n.*${noField('amout', 'amount').source}`),
    );
    refuses(
      'refuse a misspelt field of the window so far',
      body(`await aggregate(inbox, { until: (_, soFar) => soFar.cuont > 3, within: '1d' });`),
      /'cuont' does not exist on type 'WindowSoFar<.*Did you mean 'count'/,
    );
    refuses(
      'refuse an unknown option of readEvents',
      body(`const window = await aggregate(inbox, { every: '1h' });
            await readEvents(window, { before: 3 });`),
      noOption('before', "ReadEventsOptions'"),
    );
    refuses(
      'refuse no way to close',
      body(`await aggregate(inbox, {});`),
      /^Argument of type '\{\}' is not assignable to parameter of type 'AggregateOptions</,
    );
  });

  describe('of a quorum', () => {
    const options = `need: 1, within: '1d', voter: (e) => e.id, vote: () => 'yes'`;
    refuses(
      'refuse an unknown option of quorum',
      bodyOfVotes(`await quorum(inbox, { ${options}, must: ['legal'] });`),
      noOption('must', 'QuorumOptions<'),
    );
    refuses(
      'refuse a vote that is none',
      bodyOfVotes(
        `await quorum(inbox, { need: 1, within: '1d', voter: (e) => e.id, vote: () => 'maybe' });`,
      ),
      /^Type '"maybe"' is not assignable to type 'Vote'\.$/,
    );
    refuses(
      'refuse an event type that quorum cannot get',
      bodyOfVotes(
        `await quorum(inbox, { need: 1, within: '1d', voter: (e) => e.id,
           vote: (e) => (e.type === 'team.vetoed' ? 'veto' : 'yes') });`,
      ),
      noEvent('team.vetoed'),
    );
    refuses(
      'refuse a misspelt field of a vote',
      bodyOfVotes(
        `await quorum(inbox, { need: 1, within: '1d', vote: () => 'yes',
           voter: (e) => (e.type === 'team.voted' ? e.data.teams : '') });`,
      ),
      noField('teams', 'team'),
    );
    refuses(
      'refuse an ending that quorum has not',
      bodyOfVotes(
        `const { status } = await quorum(inbox, { ${options} }); return status === 'passed';`,
      ),
      /types '.*"reached".*' and '"passed"' have no overlap/,
    );
  });

  describe('of a fan-out', () => {
    refuses(
      'refuse an unknown option of fanOut',
      body(`await fanOut({ a: async () => 1 }, { onFailure: 'collect', parallel: 3 });`),
      noOption('parallel', "FanOutOptions'"),
    );
    refuses(
      'refuse an unknown option beside a list',
      body(`await fanOut([1], async (n) => n, { onFailure: 'stop', parallel: 3 });`),
      noOption('parallel', "FanOutOptions'"),
    );
    refuses(
      'refuse what is no way to fail',
      body(`await fanOut({ a: async () => 1 }, { onFailure: 'ignore' });`),
      /^Type '"ignore"' is not assignable to type '"collect" \| "stop"'\.$/,
    );
    refuses(
      'refuse a misspelt field in a branch',
      body(
        `await fanOut({ note: () => crm.addNote({ dealId: data.dealID, text: '' }) }, { onFailure: 'stop' });`,
      ),
      noField('dealID', 'dealId'),
    );
    refuses(
      'refuse a branch that there is not, and the value of one that may have failed',
      body(`const { branches } = await fanOut({ chat: async () => 1 }, { onFailure: 'collect' });
            return [branches.chatt, branches.chat.value];`),
      /'chatt' does not exist .* Did you mean 'chat'\?\nProperty 'value' does not exist on type 'Branch<number>'/,
    );
  });

  describe('of a saga', () => {
    refuses(
      'refuse options, of which saga has none',
      body(`await saga(async () => 1, { parallel: true });`),
      /^Expected 1 arguments, but got 2\.$/,
    );
    refuses(
      'refuse a step without an undo',
      body(`await saga(async (step) => { await step('act', async () => 1); });`),
      /^Expected 3 arguments, but got 2\.$/,
    );
    refuses(
      'refuse an undo that takes its result for known',
      body(`await saga(async (step) => {
              await step('act', async () => ({ id: '1' }), async (result) => result.id); });`),
      /^'result' is possibly 'undefined'\.$/,
    );
    refuses(
      'refuse a misspelt field in an act',
      body(`await saga(async (step) => {
              await step('act', () => crm.getDeal({ id: data.dealID }), async () => {}); });`),
      noField('dealID', 'dealId'),
    );
  });

  describe('of a park', () => {
    refuses(
      'refuse an unknown option of park',
      body(`await park({ reason: 'r', within: '1d' });`),
      noOption('within', "ParkOptions'"),
    );
    refuses(
      'refuse a misspelt field in a reason',
      body("await park({ reason: 'a deal is odd: ' + data.dealID });"),
      noField('dealID', 'dealId'),
    );
    refuses(
      'refuse a decision that park does not return',
      body(`const { action } = await park({ reason: 'r' }); return action === 'abort';`),
      /types '.*"retry".*' and '"abort"' have no overlap/,
    );
  });

  describe('of an approval', () => {
    const options = `title: 't', from: ['ana'], within: '1d', notify: async () => {}`;
    refuses(
      'refuse an unknown option of approval',
      body(`await approval({ ${options}, approvers: ['bo'] });`),
      noOption('approvers', "ApprovalOptions'"),
    );
    refuses(
      'refuse a misspelt field in a context',
      body(`await approval({ ${options}, context: { deal: data.dealID } });`),
      noField('dealID', 'dealId'),
    );
    refuses(
      'refuse an ending that approval has not',
      body(`const { status } = await approval({ ${options} }); return status === 'granted';`),
      /types '.*"approved".*' and '"granted"' have no overlap/,
    );
  });

  describe('of a wait for one event', () => {
    refuses(
      'refuse an unknown option of waitFor',
      bodyOfVotes(`await waitFor(inbox, () => true, { within: '1d', atMost: '2d' });`),
      noOption('atMost', "WaitForOptions'"),
    );
    refuses(
      'refuse an event type that waitFor cannot get',
      bodyOfVotes(`await waitFor(inbox, (e) => e.type === 'deal.lost', { within: '1d' });`),
      noEvent('deal.lost'),
    );
    refuses(
      'refuse a misspelt field in its condition',
      body(`await waitFor(inbox, (e) => e.data.amout > 3, { within: '1d' });`),
      noField('amout', 'amount'),
    );
  });

  describe('of an emitted event', () => {
    refuses(
      'refuse an event type that is not in the contract of emit',
      body(`await emit('deal.vanished', { dealId: 'd' });`),
      /'"deal\.vanished"' is not assignable .*"deal\.moved"/,
    );
    refuses(
      'refuse a misspelt field of the data that is emitted',
      body(`await emit('deal.moved', { dealID: 'd', amount: 1 });`),
      /'dealID' does not exist in type '\{ dealId: .* Did you mean to write 'dealId'/,
    );
    refuses(
      'refuse an unknown option of emit',
      body(`await emit('deal.moved', { dealId: 'd', amount: 1 }, { key: 'd' });`),
      noOption('key', "EmitOptions'"),
    );
  });

  describe('of a connector', () => {
    refuses(
      'refuse an operation that the connector has not',
      body(`await crm.dropDeal({ id: '1' });`),
      /'dropDeal' does not exist/,
    );
    refuses(
      'refuse a wrong input',
      body(`await crm.getDeal({ id: 1 });`),
      /^Type 'number' is not assignable to type 'string'\.$/,
    );
  });
});
