import assert from 'node:assert/strict';
import { compileAll } from './compiler.ts';

const calling = (options: string): string => `
  import { aggregate, type Inbox, type TidegateEvent } from 'tidegate/flow';
  declare const inbox: Inbox<TidegateEvent<'deal.changed', { readonly team: string }>>;
  export const window = aggregate(inbox, ${options});
`;

const said: ReadonlyMap<string, RegExp | undefined> = new Map([
  ["{ every: '1d', at: '09:00', timeZone: 'Europe/Paris', lateness: '1m' }", undefined],
  ["{ gap: '1m', within: '1h', groupBy: (event) => event.data.team }", undefined],
  [
    "{ until: (event, soFar) => soFar.count > 2 && event.data.team === 'a', within: '1h' }",
    undefined,
  ],
  [
    "{ every: '1h', gap: '1m' }",
    /Type '"1m"' is not assignable to type '"not together with every"'/,
  ],
  ["{ every: '1h', within: '1d' }", /"not together with every"/],
  ["{ gap: '1m', within: '1h', lateness: '1m' }", /'lateness'.*"not together with gap"/s],
  ['{ count: 3 }', /Property 'within' is missing in type '\{ count: number; \}'/],
  ["{ every: '1h', evry: '2h' }", /'evry' does not exist .* Did you mean to write 'every'/],
  ["{ every: '1x' }", /Type '"1x"' is not assignable to type 'Duration/],
  ["{ every: '1h', groupBy: (event) => event.data.tem }", /'tem' does not exist .* mean 'team'/],
]);

describe('the types of aggregate', () => {
  it('name the option that is wrong, and why', function () {
    this.timeout(60_000);
    const messages = compileAll(new Map([...said.keys()].map((text) => [text, calling(text)])));
    for (const [options, expected] of said) {
      if (expected === undefined) assert.equal(messages.get(options), '', options);
      else assert.match(messages.get(options) ?? '', expected, options);
    }
  });
});
