import assert from 'node:assert/strict';
import { sign, verify } from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { hmacSignature } from 'tidegate/ingress';

describe('Our HMAC verifier and the vendor’s', () => {
  const ours = hmacSignature({ header: 'X-Hub-Signature-256', prefix: 'sha256=', encoding: 'hex' });
  const text = fc.string({ unit: 'grapheme', minLength: 1 });

  it('agree on every body, secret and signature', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, text, fc.boolean(), async (body, secret, other, isRight) => {
        const signature = await sign(isRight ? secret : other, body);
        const headers = { 'x-hub-signature-256': signature };
        const verdict = ours({ headers, body: Buffer.from(body) }, [secret]);
        assert.equal(verdict === 'verified', await verify(secret, body, signature));
      }),
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
          const headers = { 'x-hub-signature-256': signature };
          const verdict = ours({ headers, body: Buffer.from(body) }, ['secret', 'other']);
          assert.equal(verdict, signature === right ? 'verified' : 'invalid');
          assert.equal(await verify('secret', body, signature), signature === right);
        },
      ),
    );
  });

  it('never work with an empty secret', () => {
    for (const secrets of [[], [''], ['good', '']]) {
      assert.throws(() => ours({ headers: {}, body: Buffer.from('{}') }, secrets));
    }
  });
});
