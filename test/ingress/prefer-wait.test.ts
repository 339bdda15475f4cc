import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { preferredWait } from '../../src/ingress/stages/wait-for-outcomes.ts';
import { parseRunId } from '../../src/model/run.ts';
import { until } from '../support/wait.ts';
import {
  cloudEvent,
  post,
  postEvent,
  STRUCTURED,
  startTestIngress,
  type TestIngress,
} from './support.ts';

describe('Prefer: wait', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const postWaiting = (id: string, prefer: string) =>
    post(`${ingress.url}/events`, JSON.stringify(cloudEvent({ id })), { ...STRUCTURED, prefer });

  /** What a run does in the journal when its flow returns. */
  async function settleRunOf(id: string): Promise<void> {
    await until(`event ${id}`, () => ingress.appended.some(({ event }) => event.id === id));
    const run = `seen:default:test/${id}` as never;
    assert.ok(parseRunId(run));
    await ingress.journal.leaseLanes('this test', 60_000);
    await ingress.journal.markSent('this test', [{ run, through: 1 }]);
    await ingress.journal.activities['journal.settle']({
      run,
      workflowRunId: 'execution',
      through: 1,
      outcome: 'completed',
    });
  }

  it('answers with the outcome as soon as every delivery has one', async () => {
    const [answer] = await Promise.all([postWaiting('settles', 'wait=30'), settleRunOf('settles')]);
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get('preference-applied'), 'wait=30');
    assert.equal(answer.body.results?.[0]?.deliveries[0]?.outcome, 'completed');
  });

  it('answers that the outcome is pending when the time is over', async () => {
    const answer = await postWaiting('stays-open', 'respond-async, wait=0');
    assert.equal(answer.headers.get('preference-applied'), 'wait=0');
    assert.equal(answer.body.results?.[0]?.deliveries[0]?.outcome, 'pending');
  });

  it('gives a duplicate the outcome of the first', async () => {
    await postEvent(ingress, { id: 'first-settles' });
    await settleRunOf('first-settles');
    const answer = await postWaiting('first-settles', 'wait=30');
    assert.equal(answer.body.results?.[0]?.status, 'duplicate');
    assert.equal(answer.body.results?.[0]?.deliveries[0]?.outcome, 'completed');
  });

  it('does not wait when there is nothing to wait for', async () => {
    const body = JSON.stringify(cloudEvent({ type: 'thing.nobody_wants' }));
    const answer = await post(`${ingress.url}/events`, body, { ...STRUCTURED, prefer: 'wait=60' });
    assert.equal(answer.body.results?.[0]?.status, 'unrouted');
  });

  it('adds no outcome for a sender that does not ask', async () => {
    const answer = await postEvent(ingress);
    assert.equal(answer.headers.get('preference-applied'), null);
    assert.equal('outcome' in (answer.body.results?.[0]?.deliveries[0] ?? {}), false);
  });

  it('is read among other preferences, and cut to a minute', () => {
    assert.equal(preferredWait('respond-async, wait=10'), 10);
    assert.equal(preferredWait('Wait = "7"; foo=bar'), 7);
    assert.equal(preferredWait('wait=99999'), 60);
    for (const none of [undefined, '', 'wait', 'wait=-1', 'wait=1.5', 'wait=abc', 'waiting=3']) {
      assert.equal(preferredWait(none), undefined);
    }
  });
});
