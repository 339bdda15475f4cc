import assert from 'node:assert/strict';
import { z } from 'zod';
import { type Connector, defineConnector } from '../../src/connectors/define-connector.ts';
import { crm } from './support/crm.ts';

const operation = { effect: 'read', timeout: '1s', run: async () => 1 } as const;
const base = { name: 'ok', config: z.object({}), operations: { go: operation } } as const;
// What JavaScript, or a cast, can do.
const define = (connector: object) => () => defineConnector(connector as Connector as never);

describe('defineConnector', () => {
  it('gives back the connector as it was written', () => {
    assert.equal(crm.name, 'crm');
    assert.deepEqual(Object.keys(crm.operations), ['getDeal', 'findDeal', 'addNote']);
    assert.doesNotThrow(define(base));
  });

  const refused: readonly (readonly [string, object, RegExp])[] = [
    ['an empty name', { ...base, name: '' }, /the connector name ""/],
    ['a name with a dot', { ...base, name: 'crm.eu' }, /the connector name "crm\.eu"/],
    ['a name in capitals', { ...base, name: 'CRM' }, /the connector name "CRM"/],
    [
      'the name of journal activities',
      { ...base, name: 'journal' },
      /the connector name "journal"/,
    ],
    ['the name of sources', { ...base, name: 'source' }, /none of journal, source/],
    ['no operations', { ...base, operations: {} }, /connector ok has no operation/],
    [
      'an operation that makes the proxy a promise',
      { ...base, operations: Object.fromEntries([['then', operation]]) },
      /the operation name "then"/,
    ],
    [
      'an operation with a dash',
      { ...base, operations: { 'get-deal': operation } },
      /the operation name "get-deal" in ok\.get-deal/,
    ],
    [
      'an effect that is neither',
      { ...base, operations: { go: { ...operation, effect: 'both' } } },
      /ok\.go: effect must be 'read' or 'write', got "both"/,
    ],
    [
      'a timeout that is no duration',
      { ...base, operations: { go: { ...operation, timeout: 'soon' } } },
      /timeout of ok\.go must be a duration/,
    ],
    [
      'a timeout over ten minutes',
      { ...base, operations: { go: { ...operation, timeout: '11m' } } },
      /ok\.go: timeout must be from 1ms to 10m, got "11m"/,
    ],
    ['attempts that are no count', { ...base, retry: { attempts: 0 } }, /ok\.go: retry\.attempts/],
    [
      'a read that writes',
      { ...base, operations: { go: { ...operation, writes: () => undefined } } },
      /ok\.go: a read has no `writes`/,
    ],
    [
      'an echo of nothing',
      { ...base, operations: { go: { ...operation, effect: 'write', echoWithin: '1m' } } },
      /ok\.go: echoWithin needs `writes`/,
    ],
    [
      'an echo after more than a day',
      {
        ...base,
        operations: {
          go: { ...operation, effect: 'write', writes: () => undefined, echoWithin: '2d' },
        },
      },
      /ok\.go: echoWithin must be from 1ms to 1d, got "2d"/,
    ],
    ['a fake of nothing', { ...base, fake: { stop: () => 1 } }, /has a fake stop, but no such/],
    [
      'a rate limit of nothing',
      { ...base, rateLimit: { limit: 0, per: '1s' } },
      /rateLimit\.limit/,
    ],
  ];
  for (const [what, connector, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(define(connector), message);
    });
  }
});
