import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { after, before, beforeEach, describe, it } from 'mocha';
import { bindSources, defineSource, hmacSignature } from 'tidegate/ingress';
import { type AdmissionOptions, createAdmission } from '../../src/ingress/admission.ts';
import { bucketOf, createBuckets, parseRateLimit, take } from '../../src/ingress/rate-limits.ts';
import { countRefusals } from '../../src/ingress/refusals.ts';
import {
  type Answer,
  BATCH,
  cloudEvent,
  countKept,
  JSON_TYPE,
  post,
  postEvent,
  startTestIngress,
  type TestIngress,
} from './support.ts';

const limits = fc.record({
  rate: fc.integer({ min: 1, max: 1_000 }),
  per: fc.integer({ min: 1_000, max: 60_000 }),
  burst: fc.integer({ min: 1, max: 200 }),
});
/** Steps of a clock that goes on, and now and then back. */
const steps = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 3_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5_000, max: -1 }) },
  ),
  { minLength: 1, maxLength: 200 },
);

interface TakenAt {
  readonly at: number;
  readonly latest: number;
  readonly count: number;
}

/** Tries to take at each time; returns what was taken, with the latest time seen by then. */
function takeAll(
  limit: { rate: number; per: number; burst: number },
  clock: readonly number[],
  counts: readonly number[],
): readonly TakenAt[] {
  const bucket = bucketOf(limit, 'test');
  const taken: TakenAt[] = [];
  let fullAt: number | undefined;
  let at = 1_000_000;
  let latest = Number.NEGATIVE_INFINITY;
  for (const [index, step] of clock.entries()) {
    at += step;
    latest = Math.max(latest, at);
    const count = counts[index % counts.length] ?? 1;
    const result = take(bucket, fullAt, count, at);
    if (result.kind === 'refused') continue;
    fullAt = result.fullAtMs;
    taken.push({ at, latest, count });
  }
  return taken;
}

describe('A token bucket', () => {
  it('lets in at most the burst and what comes back, in any time, whatever the clock does', () => {
    fc.assert(
      fc.property(limits, steps, (limit, clock) => {
        const taken = takeAll(limit, clock, [1]);
        for (const [first, from] of taken.entries()) {
          let sum = 0;
          for (const to of taken.slice(first)) {
            sum += to.count;
            const most = limit.burst + ((to.latest - from.latest) * limit.rate) / limit.per;
            assert.ok(sum <= most + 1e-6, `${sum} in ${to.latest - from.latest} ms`);
          }
        }
      }),
    );
  });

  it('lets in no more by requests of many than their largest beyond that', () => {
    const counts = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(limits, steps, counts, (limit, clock, asked) => {
        const taken = takeAll(limit, clock, asked);
        const first = taken[0]?.latest ?? 0;
        const largest = Math.max(limit.burst, ...asked);
        let sum = 0;
        for (const { count, latest } of taken) {
          sum += count;
          const most = limit.burst + largest + ((latest - first) * limit.rate) / limit.per;
          assert.ok(sum <= most + 1e-6);
        }
      }),
    );
  });

  it('refuses for as long as it says, and not longer', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 500 }), (limit, count) => {
        const bucket = bucketOf(limit, 'test');
        let fullAt: number | undefined;
        const at = 5_000;
        for (;;) {
          const result = take(bucket, fullAt, count, at);
          if (result.kind === 'taken') {
            fullAt = result.fullAtMs;
            continue;
          }
          const { retryAfterMs } = result;
          assert.ok(retryAfterMs > 0);
          assert.equal(take(bucket, fullAt, count, at + retryAfterMs + 0.01).kind, 'taken');
          if (retryAfterMs > 1) {
            assert.equal(take(bucket, fullAt, count, at + retryAfterMs - 0.5).kind, 'refused');
          }
          return;
        }
      }),
    );
  });

  it('is full again after its burst has come back', () => {
    fc.assert(
      fc.property(limits, (limit) => {
        const bucket = bucketOf(limit, 'test');
        const burstTimes = Array.from({ length: limit.burst }, () => 0);
        const later = [
          ...burstTimes,
          limit.burst * bucket.intervalMs + 0.01,
          ...burstTimes.slice(1),
        ];
        assert.equal(takeAll(limit, later, [1]).length, 2 * limit.burst);
      }),
    );
  });

  it('gives nothing back when the clock goes back', () => {
    const bucket = bucketOf({ rate: 1, per: '1s' }, 'test');
    const first = take(bucket, undefined, 1, 10_000);
    assert.ok(first.kind === 'taken');
    for (const at of [10_000, 9_000, 0]) {
      assert.equal(take(bucket, first.fullAtMs, 1, at).kind, 'refused');
    }
  });
});

describe('Buckets', () => {
  const bucket = bucketOf({ rate: 1, per: '1s', burst: 2 }, 'test');

  it('are bounded: what was not touched for longest goes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(40), { maxLength: 300 }),
        fc.integer({ min: 1, max: 20 }),
        (keys, most) => {
          const buckets = createBuckets(most);
          for (const key of keys) {
            buckets.take(String(key), bucket, 1, 1_000);
            assert.ok(buckets.size <= most);
          }
        },
      ),
    );
    const buckets = createBuckets(2);
    for (const key of ['a', 'b', 'a', 'c']) buckets.take(key, bucket, 1, 0);
    assert.notEqual(buckets.peek('a', bucket, 1, 0), undefined, 'a is empty still');
    assert.equal(buckets.peek('b', bucket, 2, 0), undefined, 'b starts full again');
  });

  it('go when they are full again', () => {
    const buckets = createBuckets(1_000);
    for (let key = 0; key < 500; key += 1) buckets.take(String(key), bucket, 1, 0);
    assert.equal(buckets.size, 500);
    for (let n = 0; n < 600; n += 1) buckets.take('busy', bucket, 1, 10_000 + n);
    assert.equal(buckets.size, 1);
  });

  it('are looked at without being taken from', () => {
    const buckets = createBuckets();
    for (let n = 0; n < 10; n += 1) assert.equal(buckets.peek('a', bucket, 2, 0), undefined);
    assert.equal(buckets.size, 0);
  });
});

describe('A rate', () => {
  it('is read as it is written', () => {
    assert.deepEqual(parseRateLimit('100/1s', 'x'), { rate: 100, per: '1s' });
    assert.deepEqual(parseRateLimit(' 5/2m burst 50', 'x'), { rate: 5, per: '2m', burst: 50 });
  });

  for (const text of [
    '',
    '100',
    '100/s',
    '0/1s',
    '1/0s',
    '1/2d',
    '-1/1s',
    '1/1s burst 0',
    '1.5/1s',
  ]) {
    it(`is refused when it is ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseRateLimit(text, 'x'), { name: 'TidegateError' });
    });
  }

  it('is checked where a source is defined', () => {
    assert.throws(
      () =>
        defineSource({
          name: 'x',
          verify: hmacSignature({ header: 'x-signature', encoding: 'hex' }),
          toEvents: () => [],
          limit: { rate: 0, per: '1s' },
        }),
      { code: 'option_invalid', message: /the limit of the source x: rate/ },
    );
  });
});

const SECRETS = { bell: 'secret-of-the-bell', horn: 'secret-of-the-horn' };

describe('Limits at the front door', () => {
  let ingress: TestIngress;
  let now = 0;
  const refusals = countRefusals();
  const limitedBy: string[] = [];

  before(async () => {
    const source = (name: 'bell' | 'horn', limit?: { rate: number; per: '10s' }) =>
      defineSource({
        name,
        verify: hmacSignature({ header: 'x-signature', encoding: 'hex' }),
        toEvents: ({ payload }) => [{ type: 'thing.seen', data: payload }],
        ...(limit && { limit }),
      });
    const sources = bindSources([source('bell', { rate: 3, per: '10s' }), source('horn')], {
      TIDEGATE_SOURCE_BELL_SECRET: SECRETS.bell,
      TIDEGATE_SOURCE_HORN_SECRET: SECRETS.horn,
    });
    const options: AdmissionOptions = {
      clock: () => now,
      limits: {
        perTenant: { rate: 5, per: '10s' },
        perCaller: { rate: 20, per: '10s' },
        refusedPerAddress: { rate: 2, per: '1m' },
      },
      observer: { shed: () => {}, limited: (by) => limitedBy.push(by) },
    };
    ingress = await startTestIngress({
      sources,
      refusals,
      admission: createAdmission(options),
      trustedProxies: 1,
    });
  });
  after(() => ingress.stop());
  beforeEach(() => {
    now += 3_600_000;
    limitedBy.length = 0;
  });

  let sent = 0;
  const deliver = (
    name: 'bell' | 'horn',
    { genuine = true, from = '198.51.100.1' } = {},
  ): Promise<Answer> => {
    sent += 1;
    const body = JSON.stringify({ n: sent });
    const signature = createHmac('sha256', genuine ? SECRETS[name] : 'guess')
      .update(body)
      .digest('hex');
    return post(`${ingress.url}/hooks/${name}`, body, {
      ...JSON_TYPE,
      'x-signature': signature,
      'x-forwarded-for': from,
    });
  };
  const assertLimited = (answer: Answer, seconds: number) => {
    assert.equal(answer.status, 429, JSON.stringify(answer.body));
    assert.equal(answer.body.code, 'rate_limited');
    assert.equal(answer.headers.get('retry-after'), String(seconds));
  };

  it('a source over its limit is told when there is room again, and nothing is kept', async () => {
    for (let n = 0; n < 3; n += 1) assert.equal((await deliver('bell')).status, 202);
    const before = await countKept(ingress);
    assertLimited(await deliver('bell'), 4);
    assert.deepEqual(await countKept(ingress), before);
    assert.deepEqual(limitedBy, ['source']);
    assert.equal((await deliver('horn')).status, 202, 'the other source has its own');
    now += 4_000;
    assert.equal((await deliver('bell')).status, 202);
    const counted = refusals.counts().find(({ cause }) => cause === 'rate_limited');
    assert.deepEqual([counted?.source, counted?.count], ['bell', 1]);
  });

  it('a flood that is not verified takes nothing from the genuine sender', async () => {
    for (let n = 0; n < 30; n += 1) {
      const { status } = await deliver('bell', { genuine: false, from: '203.0.113.9' });
      assert.equal(status, n < 2 ? 401 : 429);
    }
    for (let n = 0; n < 3; n += 1) assert.equal((await deliver('bell')).status, 202);
    assertLimited(await deliver('bell', { from: '203.0.113.9' }), 30);
    now += 30_000;
    assert.equal((await deliver('bell', { from: '203.0.113.9' })).status, 202);
  });

  it('an address is limited for the source that it floods, and IPv6 as a network', async () => {
    for (const last of ['1', '2', '3']) {
      await deliver('bell', { genuine: false, from: `2001:db8:1:2::${last}` });
    }
    assertLimited(await deliver('bell', { from: '2001:db8:1:2:ffff::' }), 30);
    assert.equal((await deliver('bell', { from: '2001:db8:1:3::1' })).status, 202);
    assert.equal((await deliver('horn', { from: '2001:db8:1:2::1' })).status, 202);
  });

  it('an address of our own network stands for everybody and is not limited', async () => {
    for (let n = 0; n < 10; n += 1) {
      assert.equal((await deliver('bell', { genuine: false, from: '10.0.0.7' })).status, 401);
    }
    assert.equal((await deliver('bell', { from: '10.0.0.7' })).status, 202);
  });

  it('a tenant over its limit holds up no other, and a request is taken whole or not at all', async () => {
    const batch = (tenant: string, count: number) =>
      post(
        `${ingress.url}/events`,
        JSON.stringify(Array.from({ length: count }, () => cloudEvent({ tenantid: tenant }))),
        BATCH,
      );
    assert.equal((await batch('acme', 4)).status, 202);
    const before = await countKept(ingress);
    assertLimited(await batch('acme', 2), 2);
    const mixed = [cloudEvent({ tenantid: 'other' }), cloudEvent({ tenantid: 'acme' })];
    const both = [...mixed, cloudEvent({ tenantid: 'acme' })];
    assertLimited(await post(`${ingress.url}/events`, JSON.stringify(both), BATCH), 2);
    assert.deepEqual(await countKept(ingress), before);
    assert.equal((await batch('other', 5)).status, 202);
    assert.equal((await batch('acme', 1)).status, 202);
    assert.deepEqual(limitedBy, ['tenant', 'tenant']);
  });

  it('a batch that is larger than a full bucket comes through when it is full', async () => {
    const large = JSON.stringify(Array.from({ length: 8 }, () => cloudEvent({ tenantid: 'big' })));
    assert.equal((await post(`${ingress.url}/events`, large, BATCH)).status, 202);
    assertLimited(await post(`${ingress.url}/events`, large, BATCH), 16);
    now += 16_000;
    assert.equal((await post(`${ingress.url}/events`, large, BATCH)).status, 202);
  });

  it('a caller over his limit is refused before his body is read', async () => {
    const answers = [];
    for (let n = 0; n < 21; n += 1) {
      answers.push(await postEvent(ingress, { tenantid: `t${n}` }));
    }
    assert.deepEqual(
      answers.map(({ status }) => status),
      [...Array.from({ length: 20 }, () => 202), 429],
    );
    assert.deepEqual(limitedBy, ['caller']);
  });
});
