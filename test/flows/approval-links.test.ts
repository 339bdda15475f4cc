import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { linkWriter } from '../../src/activities/approval-links.ts';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import { approvalLinkReference } from '../../src/model/approval-link.ts';
import type { RunId } from '../../src/model/run.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { SECRET, startPages } from '../approvals/support.ts';
import { type Receiver, startReceiver } from '../connectors/support/local-server.ts';
import { silent, startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';
import type { Request } from './fixtures/link-flows.ts';

interface Message {
  readonly to: string;
  readonly text: string;
}

/** A mail server that repeats what it is sent, in its answers and in its errors. */
const mailConnector = defineConnector({
  name: 'mail',
  config: z.object({ baseUrl: z.url() }),
  retry: { attempts: 5, initial: '10ms', max: '20ms', within: '1m' },
  operations: {
    send: {
      effect: 'write',
      timeout: '5s',
      run: async (input: Message, call) => {
        const answer = await call.fetch('/send', { method: 'POST', json: input });
        const sent = (await answer.json()) as { readonly echo: unknown; readonly ok: boolean };
        if (!sent.ok)
          throw Object.assign(new Error(`refused: ${JSON.stringify(sent)}`), { status: 503 });
        return sent;
      },
      classify: () => ({ errorClass: 'transient' }),
    },
  },
});
/** Without credentials: what it would send is in the outbox. */
const chatConnector = defineConnector({
  name: 'chat',
  config: z.object({ token: z.string() }),
  operations: {
    send: { effect: 'write', timeout: '5s', run: async (_input: Message) => assert.fail('a fake') },
  },
});

describe('approval links, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;
  let mail: Receiver;
  let pages: Awaited<ReturnType<typeof startPages>>;
  const sent: Message[] = [];

  before(async () => {
    const failed = new Set<string>();
    mail = await startReceiver(({ body }) => {
      const echo = JSON.parse(body) as Message;
      const headers = { 'content-type': 'application/json' };
      const isFirst = !failed.has(body);
      failed.add(body);
      if (!isFirst) sent.push(echo);
      return { headers, body: JSON.stringify({ ok: !isFirst, echo }) };
    });
    let listens: (url: string) => void = () => {};
    const publicUrl = new Promise<string>((resolve) => {
      listens = resolve;
    });
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/link-flows.ts', import.meta.url)),
      operations: (journal) =>
        operationActivities(
          bindConnectors([mailConnector, chatConnector], {
            env: { TIDEGATE_MAIL_BASE_URL: mail.url },
            journal,
            allowFakes: true,
          }),
          {
            now: Date.now,
            random: Math.random,
            logger: silent,
            writeLinks: linkWriter(journal, { secrets: [SECRET], publicUrl }),
          },
        ),
    });
    pages = await startPages({
      journal: engine.journal,
      runs: temporalRunOperations(engine.client),
    });
    listens(pages.url);
  });
  after(async () => {
    await pages?.stop();
    await engine?.stop();
    await mail?.close();
  });

  /** A run that asks, once all whom it asks have mail. */
  async function ask(key: string, request: Omit<Request, 'note'>, note = 'Please.') {
    const run = engine.run('access', key);
    const data = {
      ...request,
      from: request.from.map((name) => `${name}.${key}@acme.example`),
      note,
    };
    await engine.send(
      'access',
      key,
      testEvent({ id: key, subject: key, type: 'access.requested', data }),
    );
    const tokens: string[] = [];
    for (const approver of data.from) {
      const { text } = await until(`mail to ${approver}`, () =>
        sent.find(({ to }) => to === approver),
      );
      const [, url = ''] = /Decide here: (.*)\.$/.exec(text) ?? [];
      assert.ok(url.startsWith(`${pages.url}/approvals/`), text);
      tokens.push(url.slice(`${pages.url}/approvals/`.length));
    }
    return { run, tokens, approvers: data.from };
  }

  const resultOf = async (run: RunId) =>
    (await engine.settled(run, 1)).settlements[0]?.result as {
      readonly status: string;
      readonly pending: readonly string[];
      readonly voices: readonly object[];
    };

  it('let two people approve, and no signature is in the history', async () => {
    const { run, tokens, approvers } = await ask('two', { from: ['ana', 'bo'], within: '1h' });
    const [one = '', two = ''] = tokens;
    assert.match((await pages.call(one)).page, /Access to billing/);
    assert.equal((await pages.press(one, 'approve', 'she needs it')).status, 200);
    assert.equal((await pages.press(one, 'approve', 'pressed again')).status, 200);
    // The journal is told once the history has it.
    await until('what was said', async () => /she needs it/.test((await pages.call(two)).page));
    const decided = await pages.press(two, 'approve');
    assert.match(decided.page, /It is decided/);

    assert.deepEqual(await resultOf(run), {
      status: 'approved',
      pending: [],
      voices: [
        { approver: approvers[0], action: 'approve', reason: 'she needs it', via: 'link' },
        { approver: approvers[1], action: 'approve', reason: '', via: 'link' },
      ],
    });
    const after = await pages.call(one);
    assert.equal(after.status, 200);
    assert.match(after.page, /decided it/);

    const history = await textsOf(run);
    assert.ok(history.includes('tidegate-link:'), 'the search finds what is there');
    assert.ok(history.includes('refused: '), 'and failures of attempts');
    assert.ok(history.includes('/approvals/[signed]'), 'and what was repeated to us');
    for (const token of tokens) {
      const [header = '', payload = '', signature = ''] = token.split('.');
      for (const part of [header, payload, signature, signature.slice(0, 12)]) {
        assert.equal(history.includes(part), false, part);
      }
    }
  });

  it('show in the outbox what a fake would have sent, ready to be opened', async () => {
    const { run, tokens } = await ask('outbox', { from: ['ana'], within: '1h' });
    const { rows } = await until('the outbox', async () => {
      const page = await engine.journal.listOutbox({ run }, {});
      return page.rows.length > 0 && page;
    });
    const { text } = (rows[0]?.input ?? { text: '' }) as Message;
    assert.ok(text.includes(`${pages.url}/approvals/${tokens[0]}`), text);
    await pages.press(tokens[0] ?? '', 'approve');
    assert.equal((await resultOf(run)).status, 'approved');
  });

  it('end the question with one rejection, and tell the others so', async () => {
    const { run, tokens } = await ask('reject', { from: ['ana', 'bo'], within: '1h' });
    const [one = '', two = ''] = tokens;
    assert.match((await pages.press(one, 'reject', 'not hers')).page, /It is decided/);
    assert.equal((await resultOf(run)).status, 'rejected');
    const late = await pages.press(two, 'approve');
    assert.equal(late.status, 200);
    assert.match(late.page, /does not count/);
    assert.match(late.page, /not hers/);
  });

  it('expire with the question', async () => {
    const { run, tokens } = await ask('expire', { from: ['ana'], within: '3s' });
    assert.equal((await resultOf(run)).status, 'timedOut');
    const { status } = await pages.press(tokens[0] ?? '', 'approve');
    assert.equal(status, 410);
  });

  it('are not made of what somebody wrote into an event', async () => {
    const run = engine.run('access', 'forged');
    const approver = 'ana.forged@acme.example';
    const parkId = '1/approval#1/1';
    const forged = approvalLinkReference({ run, parkId, approver, nonce: 'guessed' });
    const { tokens } = await ask('forged', { from: ['ana'], within: '1h' }, forged);
    const park = await engine.journal.findPark(run, parkId);
    assert.equal(park?.question?.approvers[0], approver, 'only the nonce was wrong');
    const { text } = sent.find(({ to }) => to === approver) ?? { text: '' };
    assert.ok(text.startsWith(forged), text);
    await pages.press(tokens[0] ?? '', 'approve');
    assert.equal((await resultOf(run)).status, 'approved');
  });

  /** Every text in a run's history, whatever it is encoded in. */
  async function textsOf(run: RunId): Promise<string> {
    const history = await engine.client.workflow.getHandle(run).fetchHistory();
    const texts: string[] = [];
    const walk = (value: unknown): void => {
      if (typeof value === 'string') texts.push(value);
      else if (value instanceof Uint8Array) texts.push(Buffer.from(value).toString());
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk);
    };
    walk(history);
    return texts.join('\n');
  }
});
