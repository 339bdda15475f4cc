import assert from 'node:assert/strict';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import { loggable } from '../../src/worker.ts';
import { startTemporal } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import { startWholeEngine, type WholeEngine } from './whole-engine.ts';

/** Nothing else has these in it, in any spelling. */
const NAME = 'Canaria Xylophone';
const EMAIL = 'quetzal.canary@nest.example';
const CITIES = ['Wolkenkuckucksheim', 'Schlaraffenland'];
const CANARY = /canar|xylophone|quetzal|nest\.example|wolken|kuckuck|schlaraffen/i;

const person = { name: NAME, email: EMAIL };

describe('personal data', function () {
  this.timeout(120_000);
  let env: TestWorkflowEnvironment;
  let journal: Journal;
  let engine: WholeEngine;

  before(async () => {
    env = await startTemporal();
    journal = await openJournal({});
    engine = await startWholeEngine({ env, journal });
  });
  after(async () => {
    await engine?.stop();
    await journal?.close();
    await env?.teardown();
  });

  const isMasked = (where: string, text: string): void => {
    const found = CANARY.exec(text);
    const near = found && text.slice(Math.max(0, found.index - 120), found.index + 60);
    assert.equal(found, null, `${where} shows ${near}`);
  };

  /** What anybody can read of Tidegate and of Temporal, histories apart. */
  const everything = async (): Promise<ReadonlyMap<string, string>> => {
    const seen = new Map<string, string>();
    const read = async (path: string): Promise<string> => {
      const text = await engine.read(`/api/v1${path}`);
      seen.set(path, text);
      return text;
    };
    for (const list of ['events', 'runs', 'dead-letters', 'outbox', 'flows', 'connectors']) {
      await read(`/${list}`);
    }
    const listed = JSON.parse(seen.get('/events') ?? '') as {
      rows: readonly { event: { id: string; correlationid: string } }[];
    };
    for (const { event } of listed.rows) {
      await read(`/events/${encodeURIComponent(event.id)}`);
      await read(`/trace/${encodeURIComponent(event.correlationid)}`);
    }
    const runs = JSON.parse(seen.get('/runs') ?? '') as { rows: readonly { run: string }[] };
    for (const { run } of runs.rows) {
      await read(`/runs/${encodeURIComponent(run)}`);
      const handle = env.client.workflow.getHandle(run);
      const { raw, ...described } = await handle.describe();
      seen.set(
        `describe ${run}`,
        JSON.stringify([
          described.memo,
          described.searchAttributes,
          described.typedSearchAttributes,
          await described.staticSummary?.().catch(() => ''),
          raw.executionConfig?.userMetadata,
          Buffer.from(raw.executionConfig?.userMetadata?.summary?.data ?? []).toString(),
        ]),
      );
      const details = await handle.query('__temporal_workflow_metadata').catch(() => 'ended');
      seen.set(`details ${run}`, JSON.stringify(details));
      const { events = [] } = await handle.fetchHistory();
      for (const { eventId, userMetadata } of events ?? []) {
        const summary = Buffer.from(userMetadata?.summary?.data ?? []).toString();
        if (summary !== '') seen.set(`summary of event ${String(eventId)} of ${run}`, summary);
      }
    }
    return seen;
  };

  const assertMasked = async (least: number): Promise<void> => {
    const seen = await everything();
    assert.ok(seen.size >= least, `looked at ${seen.size} places`);
    for (const [where, text] of seen) isMasked(where, text);
    isMasked('the log', engine.logged.join('\n'));
  };

  it('is masked while runs wait for people', async () => {
    const data = { personId: 'p1', team: 'red', person, tags: [{ text: NAME }] };
    assert.equal((await engine.send('person.joined', 'e1', data)).status, 202);
    const stopped = await engine.parked('greet:default:p1', /^desk\.find/);
    assert.match(stopped.park?.reason ?? '', /there is no \*\*\* here/);
    await engine.parked('enrol:default:p1', /^undo|badge/);
    await assertMasked(12);

    const skip = { action: 'skip', reason: `${NAME} is known`, input: 'known' };
    assert.equal(await engine.decide('greet:default:p1', skip), 200);
    const asks = await engine.parked('greet:default:p1', /^approval/);
    assert.equal(asks.park?.question?.title, 'A badge for ***');
    await assertMasked(12);

    const no = { action: 'reject', reason: 'no' };
    assert.equal(await engine.decide('greet:default:p1', no), 200);
    await engine.parked('greet:default:p1', /^body/);
    await assertMasked(12);
  });

  it('is masked in what runs have come to', async () => {
    const abort = { action: 'abort', reason: `${NAME} gave up` };
    assert.equal(await engine.decide('greet:default:p1', abort), 200);
    await engine.settled('greet:default:p1');
    assert.equal(await engine.decide('enrol:default:p1', { ...abort, action: 'skip' }), 200);
    const { settlements } = await engine.settled('enrol:default:p1');
    assert.deepEqual(settlements.at(-1)?.result, { failed: 'desk.refuse: *** is refused' });
    await assertMasked(12);
  });

  it('is masked in windows', async () => {
    for (const [index, city] of CITIES.entries()) {
      const data = { personId: 'p2', city };
      const response = await engine.send('person.moved', `m${index}`, data);
      assert.equal(response.status, 202);
    }
    const { settlements } = await engine.settled('moves:default:p2');
    assert.ok(settlements.at(-1)?.result);
    await assertMasked(16);
  });

  it('is masked in what is refused, held or unknown', async () => {
    const answers: string[] = [];
    const send = async (type: string, id: string, data: object): Promise<void> => {
      answers.push(await (await engine.send(type, id, data)).text());
    };
    const bad = { ...person, email: `bad ${EMAIL}` };
    await send('person.joined', 'r1', { personId: 'p3', team: 'red', person: bad });
    // In another shape than the contract has.
    await send('person.joined', 'r2', { personId: 'p3', email: EMAIL, person: NAME });
    await send('person.joined', 'r3', { personId: 'p3', person: [person] });
    await send('person.judged', 'r4', { personId: 'p3', email: EMAIL });
    await send('nobody.knows', 'r5', { who: NAME, deep: [{ mail: EMAIL }] });
    assert.equal(answers.length, 5);
    for (const answer of answers) isMasked('an answer', answer);
    await until('dead letters', async () => {
      const letters = JSON.parse(await engine.read('/api/v1/dead-letters')) as { rows: unknown[] };
      return letters.rows.length >= 5;
    });
    await assertMasked(16);
  });

  it('still reaches the flows', async () => {
    const { rows } = await journal.listOutbox({ run: 'greet:default:p1' }, {});
    assert.deepEqual(rows[0]?.input, { who: EMAIL, text: `Hello ${NAME}` });
  });

  it('is not in what the SDK tells of errors', () => {
    const error = new Error(`no ${NAME}`, { cause: new TypeError(`nor ${EMAIL}`) });
    const shown = loggable({ workflowId: 'w', error, input: NAME }) as Record<string, unknown>;
    isMasked('the log', JSON.stringify(shown));
    assert.equal(shown.workflowId, 'w');
    assert.match(JSON.stringify(shown.error), /masking\.test/);
    const missing = new TidegateError('encryption_key_unknown', 'add the key k1');
    assert.match(JSON.stringify(loggable({ error: missing })), /"add the key k1"/);
    const quoting = new TidegateError('option_invalid', `got ${NAME}`);
    assert.match(JSON.stringify(loggable({ error: quoting })), /option_invalid/);
    isMasked('the log', JSON.stringify(loggable({ error: quoting })));
  });
});
