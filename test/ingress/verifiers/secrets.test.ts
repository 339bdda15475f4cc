import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import {
  awsSnsSignature,
  bindSources,
  defineSource,
  discordSignature,
  githubSignature,
  standardWebhooksSignature,
  type Verifier,
  zendeskSignature,
} from 'tidegate/ingress';
import { readSecrets, validSecrets } from '../../../src/ingress/source-secrets.ts';

const read = (text: string) => readSecrets('acme', { TIDEGATE_SOURCE_ACME_SECRET: text });
const validOn = (text: string, day: string) => validSecrets(read(text), Date.parse(day));
const source = (name: string, verify: Verifier = githubSignature()) =>
  defineSource({ name, verify, toEvents: () => [] });

describe('The secrets of a source', () => {
  it('count from and until the moments behind them', () => {
    const text =
      'old@..2026-12-01, new@2026-11-21T08:00:00Z.., always, both@2026-11-21..2026-11-22';
    assert.deepEqual(validOn(text, '2026-11-21T07:59:59.999Z'), ['old', 'always', 'both']);
    assert.deepEqual(validOn(text, '2026-11-21T08:00:00Z'), ['old', 'new', 'always', 'both']);
    assert.deepEqual(validOn(text, '2026-11-22T00:00:00Z'), ['old', 'new', 'always']);
    assert.deepEqual(validOn(text, '2026-12-01T00:00:00Z'), ['new', 'always']);
  });

  it('may have an @ and dots of their own', () => {
    for (const text of ['user:p@ss', 'a@b..c', 'x@y..z@2026-01-01..', '@', 'a..b']) {
      const [secret] = read(text);
      assert.equal(secret?.text, text.replace(/@2026.*/, ''), text);
    }
  });

  it('are refused with a validity that is none, without being repeated', () => {
    for (const validity of [
      '@..',
      '@2026-13-01..',
      '@2026-02-30..',
      '@..2026',
      '@2026-12-01..2026-11-01',
      '@2026-11-01..2026-11-01',
      '@2026-11-01T08:00..',
    ]) {
      assert.throws(
        () => read(`hush-hush${validity}`),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'config_invalid');
          assert.match(error.message, /TIDEGATE_SOURCE_ACME_SECRET/);
          assert.doesNotMatch(error.message, /hush/);
          return true;
        },
      );
    }
  });

  it('are refused when one is empty or blank, or there are too many', () => {
    for (const text of [',', 'a,', ',a', 'a,,b', 'a, ,b', '@2026-11-01..', ' @..2026-11-01']) {
      assert.throws(() => read(text), { code: 'config_invalid' }, text);
    }
    assert.throws(() => read(Array(11).fill('a').join()), { code: 'config_invalid' });
    assert.deepEqual([read(''), read('  ')], [[], []]);
  });

  it('can be in a file, one a line, with commas in them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidegate-secrets-'));
    try {
      const path = join(folder, 'secret');
      writeFileSync(path, 'user:a,b\nuser:c@..2026-12-01\n');
      const environment = { TIDEGATE_SOURCE_ACME_SECRET_FILE: path };
      assert.deepEqual(readSecrets('acme', environment), [
        { text: 'user:a,b' },
        { text: 'user:c', untilMs: Date.UTC(2026, 11, 1) },
      ]);
      for (const wrong of [
        { ...environment, TIDEGATE_SOURCE_ACME_SECRET: 'x' },
        { TIDEGATE_SOURCE_ACME_SECRET_FILE: folder },
        { TIDEGATE_SOURCE_ACME_SECRET_FILE: join(folder, 'nowhere') },
      ]) {
        assert.throws(() => readSecrets('acme', wrong), { code: 'config_invalid' });
      }
      writeFileSync(path, '\n');
      assert.throws(() => readSecrets('acme', environment), { code: 'config_invalid' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('have the shape that the scheme needs, or the process does not start', () => {
    const cases: readonly (readonly [Verifier, string])[] = [
      [standardWebhooksSignature(), 'whsec_not-base64'],
      [standardWebhooksSignature(), `whsec_${Buffer.alloc(23).toString('base64')}`],
      [standardWebhooksSignature(), `whpk_${Buffer.alloc(32).toString('base64')}`],
      [discordSignature(), 'ab'.repeat(31)],
      [zendeskSignature(), 'dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=='],
      [awsSnsSignature({ topicArns: ['arn:aws:sns:eu-west-1:123456789012:a'] }), 'anything'],
    ];
    for (const [verify, secret] of cases) {
      const environment = { TIDEGATE_SOURCE_ACME_SECRET: secret };
      assert.throws(
        () => bindSources([source('acme', verify)], environment),
        (error: Error) =>
          /TIDEGATE_SOURCE_ACME_SECRET/.test(error.message) && !error.message.includes(secret),
      );
    }
  });

  it('are not shared by two sources, since no provider signs the path', () => {
    const environment = {
      TIDEGATE_SOURCE_ONE_SECRET: 'a,b',
      TIDEGATE_SOURCE_TWO_SECRET: 'c,b@2026-01-01..',
    };
    assert.throws(() => bindSources([source('one'), source('two')], environment), {
      code: 'config_invalid',
      message: /TIDEGATE_SOURCE_TWO_SECRET.*source one/,
    });
  });
});
