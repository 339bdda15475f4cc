import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { EventRow, OutboxEntry, Paged } from '../../src/journal/rows.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import type { OperatorOptions } from '../../src/operator/router.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import type { ShownRun } from '../../src/operator/runs.ts';
import type { Trace } from '../../src/operator/trace.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { testEvent } from '../support/events.ts';
import { assertProblem, type OperatorServer, startOperator } from './fixtures/server.ts';

const dealDigest = Object.assign(async () => undefined, {
  head: {
    on: ['deal.stage_changed'],
    key: () => 'd-1',
    where: () => true,
    owner: 'revops',
    runbook: 'docs/runbooks/deal-digest.md',
  },
});

describe('the operator API', () => {
  const connection = lazyConnection(localTemporal(1));
  let journal: Journal;
  let options: OperatorOptions;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    options = {
      journal,
      flows: flowRegistry({ dealDigest }),
      connectors: [{ name: 'crm', operations: ['getDeal'] }],
      runs: temporalRunOperations(new Client({ connection })),
      temporalUiUrl: 'http://127.0.0.1:8233/',
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    };
    server = await startOperator(options);
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  /** A settled window of three deal changes, with one duplicate of the last. */
  async function settledDeal(key: string): Promise<RunId> {
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key });
    const entries = [1, 2, 3].map((number) => ({
      event: testEvent({
        id: `${key}-${number}`,
        type: 'deal.stage_changed',
        source: 'crm',
        tenantid: 'acme',
        correlationid: key,
        data: { number },
      }),
      status: 'accepted' as const,
      deliveries: [{ flow: 'dealDigest', key, run }],
    }));
    await journal.append(entries);
    await journal.append(entries.slice(-1));
    await journal.activities['journal.open']({ run, workflowRunId: 'exec/1', firstNumber: 1 });
    await journal.activities['journal.settle']({
      run,
      workflowRunId: 'exec/1',
      through: 3,
      outcome: 'completed',
      window: { count: 3, closedBy: 'quiet', firstAt: 1, lastAt: 2 },
    });
    return run;
  }

  it('lists events by every filter, page by page', async () => {
    const key = randomUUID();
    await settledDeal(key);
    const first = await server.call<Paged<EventRow>>(
      `/events?correlationId=${key}&tenant=acme&type=deal.stage_changed&source=crm&status=accepted&limit=2`,
    );
    assert.equal(first.status, 200);
    assert.equal(first.body.rows.length, 2);
    const rest = await server.call<Paged<EventRow>>(
      `/events?correlationId=${key}&limit=2&after=${first.body.next}`,
    );
    assert.equal(rest.body.rows.length, 1);
    assert.equal(rest.body.next, undefined);
    const ids = [...first.body.rows, ...rest.body.rows].map((row) => row.event.id);
    assert.deepEqual(ids.sort(), [`${key}-1`, `${key}-2`, `${key}-3`]);
    assert.deepEqual(
      (await server.call<Paged<EventRow>>(`/events?tenant=other&correlationId=${key}`)).body.rows,
      [],
    );
  });

  it('refuses a filter it does not have instead of ignoring it', async () => {
    for (const query of ['tennant=acme', 'limit=0', 'limit=x', 'type=a&type=b', 'after=nonsense']) {
      assertProblem(await server.call(`/events?${query}`), 400, 'query_invalid');
    }
  });

  it('refuses a status that nothing can have, naming those there are', async () => {
    for (const [list, values] of [
      ['/events', 'accepted | filtered | unrouted | echo | looped'],
      ['/runs', 'open | parked | settled'],
    ] as const) {
      const answer = await server.call(`${list}?status=weird`);
      assertProblem(answer, 400, 'query_invalid');
      assert.ok(answer.body.detail.includes(`status (${values})`), answer.body.detail);
      assert.equal(answer.body.errors?.[0]?.path, 'status');
      for (const status of values.split(' | ')) {
        assert.equal((await server.call(`${list}?status=${status}`)).status, 200, status);
      }
    }
  });

  it('lists connectors, without a mode where they are not bound', async () => {
    const { body } = await server.call<Paged<unknown>>('/connectors');
    assert.deepEqual(body.rows, [{ name: 'crm', operations: ['getDeal'] }]);
  });

  it('shows one event with its deliveries and what became of them', async () => {
    const key = randomUUID();
    const run = await settledDeal(key);
    const { body } = await server.call<Paged<EventRow>>(`/events/${key}-3?tenant=acme&source=crm`);
    assert.equal(body.rows[0]?.duplicates, 1);
    assert.equal(body.rows[0]?.deliveries[0]?.run, run);
    assert.equal(body.rows[0]?.deliveries[0]?.settlement?.outcome, 'completed');
    assertProblem(await server.call(`/events/${key}-4`), 404, 'event_not_found');
    assertProblem(await server.call(`/events/${key}-3?source=erp`), 404, 'event_not_found');
  });

  it('tells a story in time order, in sentences', async () => {
    const key = `ключ/${randomUUID()}`;
    const run = await settledDeal(key);
    const { body } = await server.call<Trace>(`/trace/${encodeURIComponent(key)}`);
    assert.equal(body.truncated, false);
    const what = body.steps.map((step) => step.what);
    assert.deepEqual(what, ['received', 'received', 'received', 'opened', 'settled']);
    const times = body.steps.map(({ at }) => Date.parse(at));
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
    assert.equal(
      body.steps.at(-1)?.text,
      `${run} completed deliveries 1 to 3 in a window of 3, closed by quiet.`,
    );
    assert.match(body.steps[2]?.text ?? '', /was accepted and goes to .* It came once more/);
    assert.match(
      body.runs[0]?.links.history ?? '',
      /^http:\/\/127\.0\.0\.1:8233\/namespaces\/default\/workflows\//,
    );
    assertProblem(await server.call('/trace/nobody'), 404, 'event_not_found');
  });

  it('tells of a run that stopped for a person and of what the person decided', async () => {
    const key = randomUUID();
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key });
    const filtered = testEvent({ id: 'small', correlationid: key, type: 'deal.viewed', data: {} });
    await journal.append([
      { ...accepted(run), event: testEvent({ id: key, correlationid: key, data: {} }) },
      { event: filtered, status: 'filtered', reason: 'dealDigest: where', deliveries: [] },
    ]);
    const workflowRunId = 'execution';
    const parkId = '1/slack.postMessage/1';
    await journal.activities['journal.open']({ run, workflowRunId, firstNumber: 1 });
    await journal.activities['journal.park']({
      run,
      workflowRunId,
      parkId,
      step: 'slack.postMessage',
      errorClass: 'persistent',
      reason: 'account disabled',
    });
    const decision = { action: 'skip', reason: 'posted by hand', actor: 'maria' } as const;
    await journal.activities['journal.resume']({ run, parkId, decision });
    await journal.activities['journal.settle']({
      run,
      workflowRunId,
      through: 1,
      outcome: 'skipped',
      reason: 'by maria',
    });
    const { body } = await server.call<Trace>(`/trace/${key}`);
    assert.deepEqual(
      body.steps.map(({ text }) => text),
      [
        `thing.changed ${key} came from test and was accepted and goes to ${run} as its delivery 1.`,
        'deal.viewed small came from test and was filtered: no flow that takes the type wants it (dealDigest: where).',
        `The run ${run} began in Temporal.`,
        `${run} stopped at slack.postMessage (persistent: account disabled) and waits for a person.`,
        'maria decided to skip: posted by hand',
        `${run} was made to skip delivery 1: by maria.`,
      ],
    );
  });

  it('tells of a question, of who said what, and that nobody decided in time', async () => {
    const key = randomUUID();
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key });
    const event = testEvent({ id: key, correlationid: key, data: {} });
    await journal.append([{ ...accepted(run), event }]);
    await journal.activities['journal.park']({
      run,
      workflowRunId: 'execution',
      parkId: '1/approval#1/1',
      step: 'approval#1',
      reason: 'approval of Access to billing',
      question: {
        kind: 'approval',
        title: 'Access to billing',
        approvers: ['ana', 'bo'],
        need: 2,
        linkNonce: 'of-the-links',
      },
    });
    const voice = { approver: 'ana', action: 'approve', at: Date.now(), via: 'link' } as const;
    const parkId = '1/approval#1/1';
    for (const [approver, reason] of [
      ['ana', 'she is new'],
      ['bo', ''],
    ] as const) {
      await journal.activities['journal.voice']({
        run,
        parkId,
        voice: { ...voice, approver, reason },
      });
    }
    const record = { done: ['reserve'] };
    await journal.activities['journal.record']({
      run,
      window: 1,
      step: 's#1',
      kind: 'saga',
      record,
    });
    const shown = await server.call<ShownRun>(`/runs/${encodeURIComponent(run)}`);
    assert.equal(shown.body.park?.question?.title, 'Access to billing');
    assert.equal(shown.body.park?.voices.length, 2);
    assert.deepEqual(
      shown.body.records?.map(({ step, record: of }) => [step, of]),
      [['s#1', record]],
    );
    assert.ok(!JSON.stringify(shown.body).includes('of-the-links'));
    const decision = { action: 'expired', reason: '', actor: 'tidegate' } as const;
    await journal.activities['journal.resume']({ run, parkId, decision });
    const { body } = await server.call<Trace>(`/trace/${key}`);
    assert.deepEqual(
      body.steps.slice(1).map(({ what, text }) => [what, text]),
      [
        ['parked', `${run} asks ana, bo at approval#1: Access to billing (it takes 2 of 2).`],
        ['answered', 'ana said approve: she is new'],
        ['answered', 'bo said approve.'],
        ['decided', 'Nobody decided about approval#1 in time.'],
      ],
    );
  });

  it('shows a run with its settlements and where its history is', async () => {
    const run = await settledDeal(`a/b c?${randomUUID()}`);
    const { status, body } = await server.call<ShownRun>(`/runs/${encodeURIComponent(run)}`);
    assert.equal(status, 200);
    assert.equal(body.run, run);
    assert.equal(body.status, 'settled');
    assert.equal(body.settlements[0]?.window?.count, 3);
    assert.equal(
      body.links.history,
      `http://127.0.0.1:8233/namespaces/default/workflows/${encodeURIComponent(run)}/exec%2F1/history`,
    );
    const list = await server.call<Paged<ShownRun>>('/runs?flow=dealDigest&status=settled&limit=1');
    assert.equal(list.body.rows[0]?.links.self, `/api/v1/runs/${encodeURIComponent(run)}`);
  });

  it('shows an open run without its live view when Temporal is away', async () => {
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key: randomUUID() });
    await journal.append([accepted(run)]);
    const { status, body } = await server.call<ShownRun>(`/runs/${encodeURIComponent(run)}`);
    assert.equal(status, 200);
    assert.equal(body.status, 'open');
    assert.equal('live' in body, false);
  });

  it('does not know runs that are not there or are not runs', async () => {
    for (const path of ['/runs/a:b:c', '/runs/nonsense', '/runs/a:b:%00', '/runs/a:b:%F0%9F']) {
      const answer = await server.call(path);
      assert.equal(answer.status, 404, path);
      assert.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
    }
  });

  it('lists flows with their head', async () => {
    const { body } = await server.call<Paged<unknown>>('/flows');
    assert.deepEqual(body.rows, [
      {
        name: 'dealDigest',
        on: ['deal.stage_changed'],
        owner: 'revops',
        runbook: 'docs/runbooks/deal-digest.md',
        filtered: true,
        keyed: true,
        fuse: { limit: 1_000, per: '1h' },
      },
    ]);
  });

  it('lists the outbox of one run', async () => {
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key: randomUUID() });
    const other = makeRunId({ flow: 'dealDigest', tenant: 'acme', key: randomUUID() });
    for (const [index, of] of [run, run, other].entries()) {
      await journal.recordOutbox({
        idempotencyKey: `${run}-${index}`,
        connector: 'slack',
        operation: 'postMessage',
        run: of,
        input: { text: 'hello' },
      });
    }
    const { body } = await server.call<Paged<OutboxEntry>>(
      `/outbox?run=${encodeURIComponent(run)}`,
    );
    assert.equal(body.rows.length, 2);
    assert.deepEqual(body.rows[0]?.input, { text: 'hello' });
  });

  it('lists dead letters', async () => {
    const id = randomUUID();
    await journal.reject([
      {
        tenant: 'acme',
        source: 'crm',
        id,
        code: 'unknown_type',
        message: 'no contract',
        body: '{}',
      },
    ]);
    const { body } = await server.call<Paged<DeadLetter>>('/dead-letters');
    assert.ok(body.rows.some((row) => row.kind === 'rejected' && row.id === id));
  });
});

function accepted(run: RunId) {
  const key = run.split(':')[2] ?? '';
  return {
    event: testEvent({ id: randomUUID(), tenantid: 'acme', data: {} }),
    status: 'accepted' as const,
    deliveries: [{ flow: 'dealDigest', key, run }],
  };
}
