import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  ACTIONS,
  administrator,
  beyond,
  type Caller,
  type Grant,
  isCallerName,
  isTypePattern,
  mayDo,
  mayEmit,
  maySee,
  namesActor,
  tenantFor,
} from '../../src/access/caller.ts';

const grant = (fields: Partial<Grant>): Grant => ({
  tenant: null,
  types: ['*'],
  actions: [],
  ...fields,
});

const segment = fc.constantFrom('invoice', 'paid', 'line', 'added', 'in');
const type = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'));
const pattern = fc.oneof(
  type,
  type.map((text) => `${text}.*`),
  fc.constant('*'),
);
const anyGrant: fc.Arbitrary<Grant> = fc.record({
  tenant: fc.constantFrom(null, 'acme', 'globex'),
  types: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  actions: fc.subarray([...ACTIONS]),
});

describe('what a caller may do', () => {
  it('sends a type that a pattern has, and no other', () => {
    const cases: readonly (readonly [pattern: string, type: string, may: boolean])[] = [
      ['*', 'invoice.paid', true],
      ['invoice.*', 'invoice.paid', true],
      ['invoice.*', 'invoice.line.added', true],
      ['invoice.*', 'invoice', false],
      ['invoice.*', 'invoices.paid', false],
      ['invoice.*', 'Invoice.paid', false],
      ['invoice.paid', 'invoice.paid', true],
      ['invoice.paid', 'invoice.paid.late', false],
      ['invoice', 'invoice.paid', false],
    ];
    for (const [text, name, may] of cases) {
      assert.equal(mayEmit(grant({ types: [text] }), name), may, `${text} ${name}`);
    }
    assert.equal(mayEmit(grant({ types: ['deal.*', 'invoice.paid'] }), 'invoice.paid'), true);
    assert.equal(mayEmit(grant({ types: [] }), 'invoice.paid'), false);
  });

  it('takes no pattern with a star elsewhere than alone or last after a dot', () => {
    for (const text of ['*', 'invoice.*', 'invoice.paid', 'a.b.*', 'a b']) {
      assert.equal(isTypePattern(text), true, text);
    }
    for (const text of [
      '',
      '**',
      '*.paid',
      'in*',
      'invoice.*.paid',
      '.*',
      'a\nb',
      'a'.repeat(513),
    ]) {
      assert.equal(isTypePattern(text), false, text);
    }
  });

  it('gives the tenant of the credential, and refuses every other', () => {
    for (const claimed of [undefined, null, 'acme']) {
      assert.deepEqual(tenantFor(grant({ tenant: 'acme' }), claimed), {
        kind: 'own',
        tenant: 'acme',
      });
    }
    for (const claimed of ['globex', '', 'ACME', 'acme ', 5, false, ['acme'], { acme: 1 }, '*']) {
      assert.equal(tenantFor(grant({ tenant: 'acme' }), claimed).kind, 'forbidden');
      assert.equal(tenantFor(grant({ tenant: null }), claimed).kind, 'as claimed');
    }
  });

  it('shows every tenant to a caller of all, and one tenant to a caller of one', () => {
    assert.equal(maySee(grant({ tenant: null }), 'globex'), true);
    assert.equal(maySee(grant({ tenant: 'acme' }), 'acme'), true);
    assert.equal(maySee(grant({ tenant: 'acme' }), 'globex'), false);
  });

  it('hands on nothing that the caller does not have', () => {
    fc.assert(
      fc.property(anyGrant, anyGrant, type, (caller, made, name) => {
        if (beyond(caller, made).length > 0) return;
        // Whatever the made key may do, its maker may do.
        for (const action of ACTIONS) assert.ok(!mayDo(made, action) || mayDo(caller, action));
        for (const tenant of ['acme', 'globex']) {
          assert.ok(!maySee(made, tenant) || maySee(caller, tenant));
        }
        assert.ok(!mayEmit(made, name) || mayEmit(caller, name));
      }),
      { numRuns: 2_000 },
    );
  });

  it('hands on all that it has itself', () => {
    fc.assert(fc.property(anyGrant, (caller) => assert.deepEqual(beyond(caller, caller), [])));
    assert.deepEqual(beyond(administrator('token'), grant({ actions: ACTIONS })), []);
  });

  it('lets only administrators name who acts', () => {
    const callers: readonly Caller['kind'][] = ['token', 'development', 'local', 'api-key', 'jwt'];
    assert.deepEqual(
      callers.filter((kind) => namesActor({ ...administrator('token'), kind })),
      ['token', 'development', 'local'],
    );
  });

  it('names callers by what can be shown and stored', () => {
    for (const text of ['ana@acme.example', 'billing service', 'Ада']) {
      assert.equal(isCallerName(text), true, text);
    }
    for (const text of ['', ' ', 'a\u0000b', 'a\nb', '\ud800', 'a'.repeat(201)]) {
      assert.equal(isCallerName(text), false, JSON.stringify(text));
    }
  });
});
