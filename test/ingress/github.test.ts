import assert from 'node:assert/strict';
import { sign } from '@octokit/webhooks-methods';
import { after, before, describe, it } from 'mocha';
import { bindSources, githubEvents, githubSource } from 'tidegate/ingress';
import { TidegateError } from '../../src/model/error.ts';
import { githubExample, githubExamples } from './github-examples.ts';
import {
  countKept,
  GITHUB_SECRET,
  OLD_GITHUB_SECRET,
  post,
  rejections,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from './support.ts';

let lastDelivery = 0;

describe('POST /hooks/github', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const hook = (
    body: string,
    headers: Readonly<Record<string, string | undefined>>,
    path = 'github',
  ) => {
    lastDelivery += 1;
    const all = {
      'content-type': 'application/json',
      'x-github-delivery': `delivery-${lastDelivery}`,
      ...headers,
    };
    const set = Object.entries(all).filter(([, value]) => value !== undefined);
    return post(`${ingress.url}/hooks/${path}`, body, Object.fromEntries(set) as never);
  };
  const signed = async (name: string, body: string, secret = GITHUB_SECRET) =>
    hook(body, { 'x-github-event': name, 'x-hub-signature-256': await sign(secret, body) });

  const opened = JSON.stringify(
    githubExample('issues', ({ action }) => action === 'opened').payload,
    null,
    2,
  );

  it('makes of an opened issue a business event', async () => {
    const answer = await signed('issues', opened);
    assert.equal(answer.status, 202);
    const [result] = answer.body.results ?? [];
    assert.equal(result?.status, 'accepted');
    assert.match(result?.id ?? '', /^[\da-f]{64}$/);
    assert.equal(result?.deliveries[0]?.run, 'issueNotice:default:Codertocat/Hello-World#1');
    const event = await storedEvent(ingress, result?.id ?? '');
    assert.deepEqual(
      [event.source, event.type, event.subject, event.actor, event.origin, event.causationid],
      [
        'github',
        'issue.opened',
        'Codertocat/Hello-World#1',
        'Codertocat',
        'human',
        `delivery-${lastDelivery}`,
      ],
    );
    assert.deepEqual(githubEvents['issue.opened'].parse(event.data), event.data);
  });

  it('takes every published payload, and maps issues, pull requests and pushes within their contracts', async () => {
    const found = new Map<string, number>();
    for (const { name, payload } of githubExamples) {
      const answer = await signed(name, JSON.stringify(payload));
      assert.equal(answer.status, 202, name);
      for (const { status, id, reason } of answer.body.results ?? []) {
        if (status === 'filtered') assert.match(reason ?? '', /not mapped/);
        else
          assert.ok(
            ['accepted', 'duplicate', 'unrouted'].includes(status),
            `${name}: ${status} ${reason}`,
          );
        const type = status === 'filtered' ? 'none' : (await storedEvent(ingress, id)).type;
        found.set(type, (found.get(type) ?? 0) + 1);
      }
    }
    for (const type of [
      'issue.opened',
      'issue.reopened',
      'pull_request.opened',
      'pull_request.reopened',
      'pull_request.closed',
      'code.pushed',
      'none',
    ]) {
      assert.ok(found.has(type), type);
    }
  });

  it('tells a merged pull request from one that was only closed', async () => {
    const { payload } = githubExample('pull_request', ({ action }) => action === 'closed');
    const pull = payload.pull_request as object;
    const merged = {
      ...payload,
      pull_request: {
        ...pull,
        merged: true,
        merged_by: { login: 'anna' },
        merge_commit_sha: 'abc',
      },
    };
    const answer = await signed('pull_request', JSON.stringify(merged));
    const event = await storedEvent(ingress, answer.body.results?.[0]?.id ?? '');
    assert.equal(event.type, 'pull_request.merged');
    const data = githubEvents['pull_request.merged'].parse(event.data);
    assert.deepEqual([data.mergedBy, data.mergeCommit], ['anna', 'abc']);
  });

  it('makes of a push to a branch an event, and of tags and deletions none', async () => {
    const { payload } = githubExample('push', ({ ref }) => ref === 'refs/heads/master');
    const push = await signed('push', JSON.stringify({ ...payload, after: 'f00' }));
    const event = await storedEvent(ingress, push.body.results?.[0]?.id ?? '');
    const data = githubEvents['code.pushed'].parse(event.data);
    assert.deepEqual([data.branch, data.commitCount, data.after], ['master', 1, 'f00']);
    assert.equal(event.subject, 'Codertocat/Hello-World@master');
    for (const change of [{ deleted: true }, { ref: 'refs/tags/v1' }]) {
      const answer = await signed('push', JSON.stringify({ ...payload, ...change }));
      assert.equal(answer.body.results?.[0]?.status, 'filtered');
    }
  });

  it('accepts a ping with no event', async () => {
    const before = await countKept(ingress);
    const answer = await signed('ping', '{"zen":"Keep it logically awesome."}');
    assert.equal(answer.status, 202);
    assert.deepEqual(answer.body.results, []);
    assert.deepEqual(await countKept(ingress), before);
  });

  it('takes the form encoding, signed over the form', async () => {
    const issue = JSON.stringify({ ...JSON.parse(opened), note: 'ü & + %' });
    const body = new URLSearchParams({ payload: issue }).toString();
    const answer = await hook(body, {
      'content-type': 'application/x-www-form-urlencoded',
      'x-github-event': 'issues',
      'x-hub-signature-256': await sign(GITHUB_SECRET, body),
    });
    assert.equal(answer.status, 202);
    assert.equal(answer.body.results?.[0]?.status, 'accepted');
  });

  it('refuses a signed form without the payload with 400', async () => {
    const body = 'other=1';
    const answer = await hook(body, {
      'content-type': 'application/x-www-form-urlencoded',
      'x-github-event': 'issues',
      'x-hub-signature-256': await sign(GITHUB_SECRET, body),
    });
    assert.equal(answer.status, 400);
  });

  it('takes a signature of the older secret while it rotates', async () => {
    const body = JSON.stringify({ ...JSON.parse(opened), rotated: true });
    assert.equal((await signed('issues', body, OLD_GITHUB_SECRET)).status, 202);
  });

  it('calls a signed body under a new delivery id a duplicate', async () => {
    const body = JSON.stringify({ ...JSON.parse(opened), once: true });
    const first = await signed('issues', body);
    assert.equal(first.body.results?.[0]?.status, 'accepted');
    const appended = ingress.appended.length;
    const replayed = await signed('issues', body);
    assert.equal(replayed.body.results?.[0]?.status, 'duplicate');
    assert.equal(replayed.body.results?.[0]?.id, first.body.results?.[0]?.id);
    assert.equal(ingress.appended.length, appended);
    const { rows } = await ingress.journal.listEvents({}, { limit: 500 });
    assert.equal(rows.filter(({ event }) => event.id === first.body.results?.[0]?.id).length, 1);
  });

  describe('refuses, and keeps nothing of,', () => {
    const refused: Readonly<
      Record<
        string,
        () => Promise<readonly [body: string, signature: string | undefined, code: string]>
      >
    > = {
      'a delivery without a signature': async () => [opened, undefined, 'signature_missing'],
      'an empty signature': async () => [opened, '', 'signature_missing'],
      'a changed byte': async () => [
        opened.replace('"opened"', '"Opened"'),
        await sign(GITHUB_SECRET, opened),
        'signature_invalid',
      ],
      'a body that was parsed and written again': async () => [
        JSON.stringify(JSON.parse(opened)),
        await sign(GITHUB_SECRET, opened),
        'signature_invalid',
      ],
      'another secret': async () => [opened, await sign('another', opened), 'signature_invalid'],
      'a signature without its prefix': async () => [
        opened,
        (await sign(GITHUB_SECRET, opened)).slice('sha256='.length),
        'signature_invalid',
      ],
      'half a signature': async () => [
        opened,
        (await sign(GITHUB_SECRET, opened)).slice(0, 40),
        'signature_invalid',
      ],
      'two signatures, one of them right': async () => [
        opened,
        `${await sign(GITHUB_SECRET, opened)}, sha256=${'0'.repeat(64)}`,
        'signature_invalid',
      ],
      'a signature that is not hex': async () => [
        opened,
        `sha256=${'z'.repeat(64)}`,
        'signature_invalid',
      ],
    };
    for (const [name, make] of Object.entries(refused)) {
      it(name, async () => {
        const before = await countKept(ingress);
        const [body, signature, code] = await make();
        const answer = await hook(body, {
          'x-github-event': 'issues',
          'x-hub-signature-256': signature,
        });
        assert.equal(answer.status, 401);
        assert.equal(answer.body.code, code);
        assert.deepEqual(await countKept(ingress), before);
      });
    }

    it('the older SHA-1 signature alone', async () => {
      const answer = await hook(opened, { 'x-hub-signature': `sha1=${'0'.repeat(40)}` });
      assert.equal(answer.body.code, 'signature_missing');
    });
  });

  it('keeps a signed delivery that cannot be mapped as a dead letter', async () => {
    for (const [name, body] of [
      ['pull_request', '{"action":"opened"}'],
      ['issues', '[]'],
      ['push', 'null'],
      [undefined, '{}'],
    ] as const) {
      const answer = await hook(body, {
        'x-github-event': name,
        'x-hub-signature-256': await sign(GITHUB_SECRET, body),
      });
      assert.equal(answer.status, 202);
      const [result] = answer.body.results ?? [];
      assert.deepEqual([result?.status, result?.reason], ['rejected', 'source_mapping_failed']);
      const kept = (await rejections(ingress)).find(({ id }) => id === result?.id);
      assert.equal(kept?.body, body);
    }
  });

  it('answers signed text that is not JSON with 400', async () => {
    assert.equal((await signed('issues', '{"action":')).status, 400);
  });

  it('answers a source that is not there with 404, another content type with 415', async () => {
    assert.equal((await hook('{}', {}, 'gitlab')).body.code, 'unknown_source');
    assert.equal((await hook('{}', {}, '__proto__')).status, 404);
    assert.equal((await hook('{}', { 'content-type': 'text/plain' })).status, 415);
  });
});

describe('A source without a secret', () => {
  it('refuses every delivery with 503 and says which variable to set', async () => {
    const ingress = await startTestIngress({ sources: bindSources([githubSource], {}) });
    const body = '{}';
    const signature = await sign('x', body);
    const answer = await post(`${ingress.url}/hooks/github`, body, {
      'content-type': 'application/json',
      'x-hub-signature-256': signature,
    });
    assert.equal(answer.status, 503);
    assert.equal(answer.body.code, 'config_invalid');
    assert.match(answer.body.detail ?? '', /TIDEGATE_SOURCE_GITHUB_SECRET/);
    assert.ok(ingress.log.some((line) => line.includes('TIDEGATE_SOURCE_GITHUB_SECRET')));
    await ingress.stop();
  });

  it('does not start with an empty secret among others', () => {
    for (const value of ['a,,b', ',', 'a,']) {
      assert.throws(
        () => bindSources([githubSource], { TIDEGATE_SOURCE_GITHUB_SECRET: value }),
        (error: unknown) => TidegateError.is(error, 'config_invalid'),
      );
    }
  });
});
