import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import type { Problem } from '../../src/http/problem.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Decision, DecisionReceipt, Question, Voice } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { type RunOperations, temporalRunOperations } from '../../src/operator/run-operations.ts';
import type { ShownRun } from '../../src/operator/runs.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { testEvent } from '../support/events.ts';
import {
  type Answer,
  assertProblem,
  type OperatorServer,
  startOperator,
} from './fixtures/server.ts';
import { startFixture, type TemporalFixture } from './fixtures/temporal.ts';

describe('decisions', () => {
  let temporal: TemporalFixture;
  let journal: Journal;
  let server: OperatorServer;

  const serve = (runs: RunOperations): Promise<OperatorServer> =>
    startOperator({
      journal,
      flows: flowRegistry({}),
      connectors: [],
      runs,
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    });

  before(async function () {
    this.timeout(120_000);
    journal = await openJournal({});
    temporal = await startFixture();
    server = await serve(temporalRunOperations(temporal.environment.client));
  });
  after(async function () {
    this.timeout(60_000);
    await server?.stop();
    await temporal?.stop();
    await journal?.close();
  });

  /** A run that waits in Temporal, and in the journal where it parks. */
  async function waitingRun(type: 'waiting' | 'collecting', parks: readonly string[]) {
    const { run, handle } = await startRun(type, [parks]);
    const [parkId] = parks;
    if (parkId !== undefined) await parkInJournal(run, parkId);
    return { run, handle };
  }

  /** A run that asks two of three people. */
  async function askingRun() {
    const question: Question = {
      kind: 'approval',
      title: 'Access to billing',
      approvers: ['ana@acme.example', 'bo@acme.example', 'Zoë'],
      need: 2,
      dueAt: Date.now() + 60_000,
      linkNonce: 'nonce',
    };
    const { run, handle } = await startRun('asking', question);
    await parkInJournal(run, 'p1', question);
    return { run, handle };
  }

  async function startRun(type: 'waiting' | 'collecting' | 'asking', argument: unknown) {
    const key = randomUUID();
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key });
    const deliveries = [{ flow: 'dealDigest', key, run }];
    const event = testEvent({ id: key, tenantid: 'acme', data: {} });
    await journal.append([{ event, status: 'accepted', deliveries }]);
    const handle = await temporal.environment.client.workflow.start(type, {
      workflowId: run,
      taskQueue: temporal.taskQueue,
      args: [argument],
    });
    return { run, handle };
  }

  const parkInJournal = (run: RunId, parkId: string, question?: Question): Promise<void> =>
    journal.activities['journal.park']({
      run,
      workflowRunId: 'w',
      parkId,
      step: 'slack.postMessage#1',
      errorClass: 'persistent',
      reason: 'account disabled',
      ...(question === undefined ? {} : { question }),
    });

  const decide = (
    run: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<Partial<Problem & DecisionReceipt>>> =>
    server.call(`/runs/${encodeURIComponent(run)}/decisions`, { body, headers });

  it('reach the run with who decided and why', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    const body = { action: 'skip', reason: ' posted by hand ', input: { ts: '1' } };
    const answer = await decide(run, body, { 'x-actor': 'maria' });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { run, parkId: 'p1', action: 'skip' });
    const [taken] = (await handle.result()) as Decision[];
    assert.deepEqual(taken, {
      action: 'skip',
      reason: 'posted by hand',
      input: { ts: '1' },
      actor: 'maria',
      parkId: 'p1',
    });
  });

  it('show in the live view of the run until they are taken', async () => {
    const { run } = await waitingRun('waiting', ['p1']);
    const path = `/runs/${encodeURIComponent(run)}`;
    const { body } = await server.call<ShownRun>(path);
    assert.equal(body.status, 'parked');
    assert.equal(body.live?.parked?.parkId, 'p1');
    await decide(run, { action: 'abort', reason: 'the customer is gone' });
  });

  it('do nothing the second time, with the same answer', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1', 'p2']);
    const body = { action: 'retry', reason: 'the account is open again' };
    const answers = await Promise.all(Array.from({ length: 3 }, () => decide(run, body)));
    for (const answer of answers)
      assert.deepEqual(answer.body, { run, parkId: 'p1', action: 'retry' });
    await journal.activities['journal.resume']({
      run,
      parkId: 'p1',
      decision: { ...body, action: 'retry', actor: 'operator' },
    });
    await parkInJournal(run, 'p2');
    const keyed = { 'idempotency-key': 'click-7' };
    const first = await decide(run, body, keyed);
    assert.deepEqual(first.body, { run, parkId: 'p2', action: 'retry' });
    assert.deepEqual((await decide(run, body, keyed)).body, first.body);
    assert.equal(((await handle.result()) as Decision[]).length, 2);
    const { rows } = await journal.audit.list({ target: run }, {});
    assert.deepEqual(
      rows.map(({ actor, action, reason, details }) => [actor, action, reason, details]),
      ['p2', 'p1'].map((parkId) => ['operator', 'run.retry', body.reason, { parkId }]),
    );
  });

  it('are answered as before when the run has taken them and gone on', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    const body = { action: 'retry', reason: 'again' };
    await decide(run, body);
    const [decision] = (await handle.result()) as Decision[];
    assert.ok(decision !== undefined);
    await journal.activities['journal.resume']({ run, parkId: 'p1', decision });
    const answer = await decide(run, body, { 'idempotency-key': 'another-one' });
    assert.deepEqual(answer.body, { run, parkId: 'p1', action: 'retry' });
    assert.equal((await journal.audit.list({ target: run }, {})).rows.length, 1);
    assertProblem(await decide(run, { action: 'abort', reason: 'no' }), 409, 'run_not_waiting');
  });

  it('of two approvers who say the same are two, each kept once', async () => {
    const { run, handle } = await askingRun();
    const approve = { action: 'approve', reason: 'she needs it' };
    const by = (actor: string) => decide(run, approve, { 'x-actor': actor });
    const first = await by('ana@acme.example');
    assert.deepEqual(first.body, { run, parkId: 'p1', action: 'approve' });
    assert.deepEqual((await by('ana@acme.example')).body, first.body);
    const keyed = await decide(run, approve, {
      'x-actor': 'ana@acme.example',
      'idempotency-key': 'the-button',
    });
    assert.deepEqual(keyed.body, first.body);
    // Sent in UTF-8, as curl does, which Node reads as Latin-1.
    const zoe = await decide(run, approve, {
      'x-actor': 'Zoë',
      'idempotency-key': 'the-button',
    });
    assert.deepEqual(zoe.body, first.body);
    const voices = (await handle.result()) as Voice[];
    assert.deepEqual(
      voices.map(({ approver, action, reason, via }) => [approver, action, reason, via]),
      [
        ['ana@acme.example', 'approve', 'she needs it', 'api'],
        ['Zoë', 'approve', 'she needs it', 'api'],
      ],
    );
    const [voice] = voices;
    assert.ok(voice !== undefined);
    const later = () =>
      decide(run, approve, { 'x-actor': 'ana@acme.example', 'idempotency-key': 'the-next-day' });
    assertProblem(await later(), 409, 'run_not_waiting');
    await journal.activities['journal.voice']({ run, parkId: 'p1', voice });
    assert.deepEqual((await later()).body, first.body, 'the journal remembers');
    assertProblem(await by('bo@acme.example'), 409, 'run_not_waiting');
  });

  it('of approvers name them, and are theirs to take', async () => {
    const { run, handle } = await askingRun();
    const approve = { action: 'approve', reason: 'she needs it' };
    for (const headers of [{}, { 'x-actor': '' }]) {
      const nobody = await decide(run, approve, headers);
      assertProblem(nobody, 422, 'decision_invalid');
      assert.equal(nobody.body.errors?.[0]?.path, 'X-Actor');
    }
    const as = (actor: string, body: object) => decide(run, body, { 'x-actor': actor });
    const stranger = await as('eve@acme.example', approve);
    assertProblem(stranger, 422, 'decision_invalid');
    assert.match(stranger.body.detail ?? '', /eve@acme\.example is not asked/);
    assertProblem(
      await as('ana@acme.example', { ...approve, action: 'retry' }),
      422,
      'decision_invalid',
    );
    await as('ana@acme.example', approve);
    const opposite = await as('ana@acme.example', { action: 'reject', reason: 'no' });
    assertProblem(opposite, 422, 'decision_invalid');
    assert.match(opposite.body.detail ?? '', /has said approve already/);
    const withInput = await as('bo@acme.example', { ...approve, input: 1 });
    assertProblem(withInput, 422, 'decision_invalid');
    await handle.terminate();
  });

  it('are refused for a park that the run has left', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    const answer = await decide(run, { action: 'retry', reason: 'again', parkId: 'p0' });
    assertProblem(answer, 409, 'run_not_waiting');
    await handle.terminate();
  });

  it('are refused when nothing is parked, while flush closes the window', async () => {
    const { run, handle } = await waitingRun('collecting', []);
    assertProblem(await decide(run, { action: 'retry', reason: 'again' }), 409, 'run_not_waiting');
    const flushed = await decide(run, { action: 'flush', reason: 'the meeting is now' });
    assert.deepEqual(flushed.body, { run, parkId: 'window', action: 'flush' });
    assert.equal(await handle.result(), 'flushed');
  });

  it('are refused for a run that the journal does not know', async () => {
    assertProblem(await decide('f:t:k', { action: 'retry', reason: 'x' }), 404, 'run_not_found');
  });

  it('are refused with each path that is wrong', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    const deep = `${'['.repeat(LIMITS.jsonDepthMax * 50)}${']'.repeat(LIMITS.jsonDepthMax * 50)}`;
    const wrong: readonly [unknown, readonly string[]][] = [
      [{}, ['action', 'reason']],
      [{ action: 'explode', reason: '' }, ['action', 'reason']],
      [{ action: 'retry', reason: 'x', because: 1 }, ['because']],
      [{ action: 'retry', reason: 'x', input: 1 }, ['input']],
      [{ action: 'flush', reason: 'x', parkId: 'p1' }, ['parkId']],
      [{ action: 'skip', reason: 'x', input: 'a\u0000b' }, ['body']],
      [`{"action":"skip","reason":"x","input":${deep}}`, ['body']],
      ['[]', ['body']],
    ];
    for (const [body, paths] of wrong) {
      const answer = await decide(run, body);
      assertProblem(answer, 422, 'decision_invalid');
      assert.deepEqual(
        answer.body.errors?.map(({ path }) => path),
        paths,
      );
    }
    const retry = { action: 'retry', reason: 'x' };
    assertProblem(
      await decide(run, retry, { 'x-actor': 'a'.repeat(201) }),
      422,
      'decision_invalid',
    );
    assertProblem(await decide(run, '{"action":', {}), 400, 'malformed_json');
    const large = { ...retry, action: 'skip', input: 'x'.repeat(LIMITS.decisionBytesMax) };
    assertProblem(await decide(run, large), 413, 'body_too_large');
    assert.equal(
      (await server.call<ShownRun>(`/runs/${encodeURIComponent(run)}`)).body.live?.stage,
      'parked',
    );
    await handle.terminate();
  });

  it('are taken as JSON only, which no form of another site can send', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      const body = '{"action":"retry","reason":"x"}';
      const answer = await decide(run, body, { 'content-type': type });
      assertProblem(answer, 415, 'unsupported_media_type');
    }
    await handle.terminate();
  });

  it('are answered with 503 and Retry-After while Temporal is away', async () => {
    const { run, handle } = await waitingRun('waiting', ['p1']);
    const connection = lazyConnection(localTemporal(1));
    const away = await serve(temporalRunOperations(new Client({ connection })));
    const answer = await away.call(`/runs/${encodeURIComponent(run)}/decisions`, {
      body: { action: 'retry', reason: 'x' },
    });
    assertProblem(answer, 503, 'temporal_unavailable');
    assert.ok(Number(answer.headers['retry-after']) > 0);
    await away.stop();
    await connection.close();
    await handle.terminate();
  });
});
