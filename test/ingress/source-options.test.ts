import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { bindSources, defineSource, githubSignature } from 'tidegate/ingress';
import { pathOf, type Source } from '../../src/ingress/source.ts';
import { post, startTestIngress, type TestIngress } from './support.ts';

const SECRET = 'secret-of-billing';
const verify = githubSignature();
const seen: Source['toEvents'] = ({ payload }) => [{ type: 'thing.seen', data: payload }];
const billing = defineSource({
  name: 'billing',
  path: 'acme-billing',
  verify,
  toEvents: seen,
  dedupe: ({ payload }) => (payload as { readonly notice: { readonly id: string } }).notice.id,
});

describe('The options of a source', () => {
  let ingress: TestIngress;
  before(async () => {
    const sources = bindSources([billing], { TIDEGATE_SOURCE_BILLING_SECRET: SECRET });
    ingress = await startTestIngress({ sources });
  });
  after(() => ingress.stop());

  const deliver = async (payload: unknown, path = pathOf(billing)) => {
    const body = JSON.stringify(payload);
    const signature = `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
    const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
    const answer = await post(`${ingress.url}/hooks/${path}`, body, headers);
    return answer.body.results?.[0]?.status ?? answer.body.code;
  };

  it('path: is its address, and its name is none', async () => {
    assert.equal(await deliver({ notice: { id: 'n-1' } }), 'accepted');
    assert.equal(await deliver({ notice: { id: 'n-2' } }, 'billing'), 'unknown_source');
  });

  it('dedupe: a retry whose body has changed is the same event', async () => {
    assert.equal(await deliver({ notice: { id: 'n-3' }, attempt: 1 }), 'accepted');
    assert.equal(await deliver({ notice: { id: 'n-3' }, attempt: 2 }), 'duplicate');
  });

  it('dedupe: what it throws at is kept as a dead letter', async () => {
    assert.equal(await deliver({ attempt: 1 }), 'rejected');
  });

  it('dedupe: what gives no text is kept as a dead letter', async () => {
    for (const id of [7, '', null]) assert.equal(await deliver({ notice: { id } }), 'rejected');
  });

  it('are refused where they cannot be', () => {
    const other = defineSource({ name: 'other', path: 'acme-billing', verify, toEvents: seen });
    assert.throws(() => bindSources([billing, other], {}), {
      code: 'source_invalid',
      message: /two sources have the path acme-billing/,
    });
    assert.throws(() => defineSource({ name: 'other', path: 'a/b', verify, toEvents: seen }), {
      code: 'source_invalid',
      message: /source path "a\/b"/,
    });
  });
});
