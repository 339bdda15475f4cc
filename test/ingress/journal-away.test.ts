import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import {
  BATCH,
  cloudEvent,
  post,
  postEvent,
  send,
  startTestIngress,
  type TestIngress,
} from './support.ts';

describe('With the journal’s database away', function () {
  this.timeout(120_000);
  let postgres: TestPostgres;
  let journal: Journal;
  let ingress: TestIngress;
  before(async () => {
    postgres = await startPostgres();
    await postgres.start();
    journal = await openJournal({ databaseUrl: await postgres.createDatabase() });
    ingress = await startTestIngress({ journal });
  });
  after(async () => {
    await ingress.stop();
    await journal.close();
    await postgres.remove();
  });

  it('every event is answered 503 with Retry-After, and taken again when it is back', async () => {
    assert.equal((await postEvent(ingress, { id: 'before' })).status, 202);
    const told = ingress.appended.length;
    await postgres.stop();
    for (const fields of [{ id: 'away' }, { type: 'thing.unheard_of' }, { type: 'thing.keyed' }]) {
      const answer = await postEvent(ingress, fields);
      assert.equal(answer.status, 503, JSON.stringify(answer.body));
      assert.equal(answer.body.code, 'journal_unavailable');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
      assert.doesNotMatch(answer.body.detail ?? '', /ECONN|\d/);
    }
    const batch = JSON.stringify([cloudEvent(), cloudEvent({ type: 'thing.unheard_of' })]);
    assert.equal((await post(`${ingress.url}/events`, batch, BATCH)).status, 503);
    const ready = await send(`${ingress.url}/readyz`, {});
    assert.equal(ready.status, 503);
    assert.deepEqual(ready.body.errors, [{ path: 'journal', message: 'it cannot be reached' }]);
    const logged = ingress.log.filter((line) => line.includes('a readiness check failed'));
    assert.match(logged.join(), /ECONN|terminat/);
    assert.equal((await send(`${ingress.url}/healthz`, {})).status, 200);
    assert.equal(ingress.appended.length, told);

    await postgres.start();
    const answer = await until('the journal to be back', async () => {
      const again = await postEvent(ingress, { id: 'away' });
      return again.status === 202 && again;
    });
    assert.equal(answer.body.results?.[0]?.status, 'accepted');
    assert.equal((await send(`${ingress.url}/readyz`, {})).status, 200);
  });
});
