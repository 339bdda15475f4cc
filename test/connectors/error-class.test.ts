import assert from 'node:assert/strict';
import {
  afterEffect,
  classifyError,
  classifyStatus,
  judge,
  retryAfterMs,
} from '../../src/connectors/error-class.ts';
import { operationError } from '../../src/connectors/operation-error.ts';
import { type ErrorClass, TidegateError } from '../../src/model/error.ts';

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);
const READ = { effect: 'read' } as const;
const WRITE = { effect: 'write' } as const;
const ONCE = { effect: 'write', repeatable: false } as const;

const coded = (code: string, more: object = {}) =>
  Object.assign(new TypeError('fetch failed'), {
    cause: Object.assign(new Error(code), { code, ...more }),
  });

describe('the class of an HTTP status', () => {
  // status, for a read, for a repeatable write, for a write that is not repeatable
  const table: readonly (readonly [number, ErrorClass, ErrorClass, ErrorClass])[] = [
    [301, 'persistent', 'persistent', 'persistent'],
    [307, 'persistent', 'persistent', 'persistent'],
    [400, 'fatal', 'fatal', 'fatal'],
    [401, 'persistent', 'persistent', 'persistent'],
    [402, 'persistent', 'persistent', 'persistent'],
    [403, 'persistent', 'persistent', 'persistent'],
    [404, 'persistent', 'persistent', 'persistent'],
    [405, 'fatal', 'fatal', 'fatal'],
    [408, 'transient', 'transient', 'transient'],
    [409, 'fatal', 'fatal', 'fatal'],
    [410, 'persistent', 'persistent', 'persistent'],
    [413, 'fatal', 'fatal', 'fatal'],
    [422, 'fatal', 'fatal', 'fatal'],
    [423, 'persistent', 'persistent', 'persistent'],
    [425, 'transient', 'transient', 'transient'],
    [429, 'throttled', 'throttled', 'throttled'],
    [500, 'transient', 'transient', 'unknown'],
    [502, 'transient', 'transient', 'unknown'],
    [503, 'transient', 'transient', 'transient'],
    [504, 'transient', 'transient', 'unknown'],
  ];
  for (const [status, read, write, once] of table) {
    it(`is ${read} for ${status}${once === read ? '' : `, and ${once} for a write that cannot be repeated`}`, () => {
      const problem = classifyStatus(status, { nowMs: NOW });
      assert.equal(afterEffect(problem, READ), read);
      assert.equal(afterEffect(problem, WRITE), write);
      assert.equal(afterEffect(problem, ONCE), once);
      assert.equal(problem.status, status);
    });
  }

  it('honours Retry-After on 429 and 503 only', () => {
    const after = (status: number) =>
      classifyStatus(status, { retryAfter: '7', nowMs: NOW }).retryAfterMs;
    assert.deepEqual([429, 503, 500, 404].map(after), [7_000, 7_000, undefined, undefined]);
  });
});

describe('Retry-After', () => {
  const table: readonly (readonly [string | null, number | undefined])[] = [
    ['0', 0],
    ['120', 120_000],
    [' 1.5 ', 1_500],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['Thursday, 01-Jan-26 12:00:10 GMT', 10_000],
    ['99999999', 86_400_000],
    ['-5', undefined],
    ['soon', undefined],
    ['2026', 2_026_000],
    ['', undefined],
    [null, undefined],
  ];
  for (const [header, ms] of table) {
    it(`${JSON.stringify(header)} means ${ms === undefined ? 'nothing' : `${ms} ms`}`, () => {
      assert.equal(retryAfterMs(header, NOW), ms);
    });
  }
});

describe('the class of a thrown error', () => {
  // code, more fields, whether the request may have been carried out
  const network: readonly (readonly [string, object, boolean])[] = [
    ['ECONNREFUSED', {}, false],
    ['ENOTFOUND', {}, false],
    ['EAI_AGAIN', {}, false],
    ['EHOSTUNREACH', {}, false],
    ['UND_ERR_CONNECT_TIMEOUT', {}, false],
    ['CERT_HAS_EXPIRED', {}, false],
    ['ERR_TLS_CERT_ALTNAME_INVALID', {}, false],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', {}, false],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', {}, false],
    ['ETIMEDOUT', { syscall: 'connect' }, false],
    ['ETIMEDOUT', { syscall: 'read' }, true],
    ['ECONNRESET', {}, true],
    ['EPIPE', {}, true],
    ['UND_ERR_SOCKET', {}, true],
    ['UND_ERR_HEADERS_TIMEOUT', {}, true],
    ['UND_ERR_BODY_TIMEOUT', {}, true],
    ['HPE_INVALID_CONSTANT', {}, true],
  ];
  for (const [code, more, mayHaveHappened] of network) {
    it(`is transient for ${code}${mayHaveHappened ? ', unknown for a write that cannot be repeated' : ''}`, () => {
      const problem = classifyError(coded(code, more), NOW);
      assert.deepEqual(problem, { errorClass: 'transient', mayHaveHappened });
      assert.equal(afterEffect(problem, ONCE), mayHaveHappened ? 'unknown' : 'transient');
      assert.equal(afterEffect(problem, WRITE), 'transient');
    });
  }

  it('sees both addresses of a host that refused', () => {
    const refused = ['::1', '127.0.0.1'].map((address) =>
      Object.assign(new Error(address), { code: 'ECONNREFUSED' }),
    );
    const error = new TypeError('fetch failed', { cause: new AggregateError(refused) });
    assert.deepEqual(classifyError(error, NOW), {
      errorClass: 'transient',
      mayHaveHappened: false,
    });
  });

  const others: readonly (readonly [string, unknown, ErrorClass])[] = [
    ['an abort of its own', new DOMException('', 'AbortError'), 'transient'],
    ['a timeout of its own', new DOMException('', 'TimeoutError'), 'transient'],
    ['a plain error', new Error('no luck'), 'transient'],
    ['something that is no error', 'no luck', 'transient'],
    ['undefined', undefined, 'transient'],
    ['a bug', new TypeError('x is not a function'), 'fatal'],
    ['an answer that is not JSON', new SyntaxError('Unexpected token'), 'fatal'],
    ['a refused contract', Object.assign(new Error(), { name: 'ZodError' }), 'fatal'],
    ["an SDK's status", Object.assign(new Error(), { status: 403 }), 'persistent'],
    ["an SDK's statusCode", Object.assign(new Error(), { statusCode: 429 }), 'throttled'],
    ['the journal away', new TidegateError('journal_unavailable', ''), 'transient'],
    ['an error that says its class', operationError('persistent', ''), 'persistent'],
    [
      'an error that an SDK wrapped',
      new Error('request failed', { cause: operationError('throttled', '', { retryAfterMs: 5 }) }),
      'throttled',
    ],
  ];
  for (const [what, error, errorClass] of others) {
    it(`is ${errorClass} for ${what}`, () => {
      assert.equal(classifyError(error, NOW).errorClass, errorClass);
    });
  }

  it('is found in a cause that is its own cause', () => {
    const error: Error & { cause?: unknown } = new Error('round');
    error.cause = error;
    assert.equal(classifyError(error, NOW).errorClass, 'transient');
  });

  it('asks the operation, then the connector, then the general rules', () => {
    const by = (...classifiers: Parameters<typeof judge>[1]['classifiers']) =>
      judge(new Error('x'), { operation: WRITE, classifiers, nowMs: NOW }).errorClass;
    const persistent = () => ({ errorClass: 'persistent' }) as const;
    const fatal = () => ({ errorClass: 'fatal' }) as const;
    assert.equal(by(persistent, fatal), 'persistent');
    assert.equal(
      by(() => undefined, fatal),
      'fatal',
    );
    assert.equal(by(undefined, undefined), 'transient');
  });

  it('falls back to the general rules when a classifier itself fails', () => {
    const broken = () => {
      throw new Error('bug in classify');
    };
    const problem = judge(new TypeError('x'), {
      operation: READ,
      classifiers: [broken],
      nowMs: NOW,
    });
    assert.equal(problem.errorClass, 'fatal');
  });
});
