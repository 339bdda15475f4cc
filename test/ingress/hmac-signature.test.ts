import assert from 'node:assert/strict';
import { sign, verify } from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { hmacSignature } from 'tidegate/ingress';

describe('Our HMAC verifier and the vendor’s', () => {
  const ours = hmacSignature({ header: 'X-Hub-Signature-256', prefix: 'sha256=', encoding: 'hex' });
  const text = fc.string({ unit: 'grapheme', minLength: 1 });
  const secretText = text.filter((secret) => secret.trim() !== '');
  const verdictOf = async (body: string, signature: string, secrets: readonly string[]) => {
    const headers = { 'x-hub-signature-256': signature };
    const request = { method: 'POST', headers, body: Buffer.from(body) };
    return (await ours.verify(request, { secrets, nowMs: 0 })).status;
  };

  it('agree on every body, secret and signature', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        secretText,
        text,
        fc.boolean(),
        async (body, secret, other, isRight) => {
          const signature = await sign(isRight ? secret : other, body);
          const verdict = await verdictOf(body, signature, [secret]);
          assert.equal(verdict === 'verified', await verify(secret, body, signature));
        },
      ),
    );
  });

  it('agree that a changed signature is none', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.nat(63),
        fc.constantFrom(...'0123456789abcdef'),
        async (body, at, digit) => {
          const right = await sign('secret', body);
          const index = 'sha256='.length + at;
          const signature = right.slice(0, index) + digit + right.slice(index + 1);
          const verdict = await verdictOf(body, signature, ['secret', 'other']);
          assert.equal(verdict, signature === right ? 'verified' : 'invalid');
          assert.equal(await verify('secret', body, signature), signature === right);
        },
      ),
    );
  });

  it('never work with an empty or blank secret', async () => {
    for (const secrets of [[], [''], [' '], ['good', ''], ['good', '\t']]) {
      await assert.rejects(verdictOf('{}', 'sha256=00', secrets), { code: 'config_invalid' });
    }
  });
});
