import assert from 'node:assert/strict';
import { sign } from '@octokit/webhooks-methods';
import { describe, it } from 'mocha';
import { openJournal } from '../../src/journal/open.ts';
import { accessWith } from '../access/support.ts';
import { cloudEvent, GITHUB_SECRET, post, STRUCTURED, startTestIngress } from './support.ts';

/** In every place of every request below. */
const SECRET = 'hunter2-in-the-request';
const TOKEN = 'token-of-the-secrecy-test';

describe('The log', () => {
  it('has nothing of a request’s headers, query or body, whatever becomes of it', async () => {
    const journal = await openJournal({});
    const ingress = await startTestIngress({ journal, access: accessWith({ token: TOKEN }) });
    const headers = {
      ...STRUCTURED,
      authorization: `Bearer ${TOKEN}`,
      cookie: `session=${SECRET}`,
      'x-api-key': SECRET,
      'idempotency-key': SECRET,
    };
    const event = (fields: object) => JSON.stringify(cloudEvent({ subject: SECRET, ...fields }));
    const url = `${ingress.url}/events`;
    const statuses: number[] = [];
    const note = async (answer: Promise<{ readonly status: number }>) =>
      void statuses.push((await answer).status);
    const everyWay = async () => {
      await note(post(url, event({ data: { password: SECRET } }), headers));
      await note(post(url, event({ data: SECRET, type: `thing.${SECRET}` }), headers));
      await note(
        post(url, event({ type: 'deal.stage_changed', data: { dealId: SECRET } }), headers),
      );
      await note(
        post(url, event({ type: 'thing.filtered', data: { want: 'throw', x: SECRET } }), headers),
      );
      await note(post(url, event({ time: SECRET }), headers));
      await note(post(url, `{"broken": "${SECRET}`, headers));
      await note(post(url, SECRET, { ...headers, 'content-type': `text/${SECRET}` }));
      await note(post(url, '{}', { ...headers, authorization: `Bearer ${SECRET}` }));
      await note(
        post(`${url}/${SECRET}?source=${SECRET}`, '{}', {
          ...headers,
          'content-type': 'application/json',
        }),
      );
      await note(post(`${ingress.url}/${SECRET}?token=${SECRET}`, '{}', headers));
      await note(post(`${ingress.url}/hooks/${SECRET}`, '{}', headers));
      for (const signature of [`sha256=${SECRET}`, await sign(GITHUB_SECRET, `["${SECRET}"]`)]) {
        await note(
          post(`${ingress.url}/hooks/github`, `["${SECRET}"]`, {
            'content-type': 'application/json',
            'x-github-event': 'issues',
            'x-hub-signature-256': signature,
          }),
        );
      }
    };
    await everyWay();
    await journal.close();
    await everyWay();
    await ingress.stop();

    assert.deepEqual(new Set(statuses.slice(0, 13)), new Set([202, 422, 400, 415, 401, 404]));
    assert.ok(statuses.slice(13).some((status) => status >= 500));
    assert.ok(ingress.log.length >= statuses.length);
    for (const secret of [SECRET, TOKEN, GITHUB_SECRET]) {
      assert.deepEqual(
        ingress.log.filter((line) => line.includes(secret)),
        [],
      );
    }
  });
});
