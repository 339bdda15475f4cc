import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import * as ingress from 'tidegate/ingress';
import { REFUSAL_CAUSES } from '../../../src/ingress/verifiers/verifier.ts';
import { formatDuration } from '../../../src/model/duration.ts';
import { readText } from '../../repository/files.ts';
import { SCHEMES } from './schemes.ts';

const page = readText('docs/reference/sources.md');
const code = [...page.replace(/```.*?```/gs, '').matchAll(/`([^`]+)`/g)].map(
  ([, text]) => text ?? '',
);
const named = new Set(code.flatMap((text) => text.split(/\W+/)));

describe('docs/reference/sources.md', () => {
  it('names every verifier, handshake and setup', () => {
    const words = /(Signature|Handshake|Setup|Token|Credentials|Header|ClientState)$/;
    const values = Object.keys(ingress).filter((name) => words.test(name));
    assert.ok(values.length > 40);
    assert.deepEqual(
      values.filter((name) => !named.has(name)),
      [],
    );
  });

  it('explains every cause of a refusal', () => {
    const causes = REFUSAL_CAUSES.filter((cause) => !named.has(cause));
    assert.deepEqual(causes, []);
  });

  it('gives each verifier its window', () => {
    const rows = [...page.matchAll(/^\| `(\w+)`[^|]*\|[^|]*\| (\w+)/gm)];
    const windows = new Map(rows.map(([, name, window]) => [name, window]));
    const wrong = SCHEMES.flatMap(({ verifier, time }) => {
      const documented = windows.get(functionOf(verifier.scheme));
      const actual = time === undefined ? 'none' : formatDuration(time.pastMs);
      return documented === actual ? [] : [`${verifier.scheme}: ${documented}, but ${actual}`];
    });
    // It is named with its options, and its window is an option.
    assert.deepEqual(wrong, ['hmac: undefined, but none']);
  });
});

const functionOf = (scheme: string): string =>
  scheme === 'standard-webhooks-v1a'
    ? 'standardWebhooksPublicKeySignature'
    : `${scheme.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())}Signature`;
