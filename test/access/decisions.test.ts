import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import type { RunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import { ANA, askingRuns, BO } from '../approvals/support.ts';
import { assertProblem, type OperatorServer, startOperator } from '../operator/fixtures/server.ts';
import { accessWith, keyIn } from './support.ts';

describe('who decides by API', () => {
  let journal: Journal;
  let asking: ReturnType<typeof askingRuns>;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    asking = askingRuns(journal, () => new Date());
    server = await startOperator({
      journal,
      access: accessWith({ keys: journal.apiKeys, token: 'the-administrators-token' }),
      flows: flowRegistry({}),
      connectors: [],
      runs: { ...asking.runs, view: async () => undefined },
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    });
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
  });

  const operator = async (name: string) =>
    (await keyIn(journal, { name, tenant: 'acme', actions: ['operate:write'] })).headers;
  const approve = (run: RunId, headers: Readonly<Record<string, string>>) =>
    server.call(`/runs/${encodeURIComponent(run)}/decisions`, {
      headers,
      body: { action: 'approve', reason: 'it is right' },
    });
  const saidBy = async (run: RunId) =>
    (await journal.findPark(run, '1/approval#1/1'))?.voices.map(({ approver }) => approver);

  it('is the holder of a key, whose voice counts as that approver’s', async () => {
    const run = await asking.ask();
    assert.equal((await approve(run, await operator(ANA))).status, 200);
    assert.deepEqual(await saidBy(run), [ANA]);
  });

  it('is no other approver, whatever X-Actor says', async () => {
    const run = await asking.ask();
    const headers = await operator(ANA);
    const answer = await approve(run, { ...headers, 'x-actor': BO });
    assertProblem(answer, 422, 'decision_invalid');
    assert.equal(answer.body.errors?.[0]?.path, 'X-Actor');
    assert.deepEqual(await saidBy(run), []);
    assert.equal((await approve(run, { ...headers, 'x-actor': ANA })).status, 200);
    assert.equal((await approve(run, headers)).status, 200);
    assert.deepEqual(await saidBy(run), [ANA]);
  });

  it('is nobody who was asked, when a key has another name', async () => {
    const run = await asking.ask();
    assertProblem(await approve(run, await operator('eve@acme.example')), 422, 'decision_invalid');
    assert.deepEqual(await saidBy(run), []);
  });

  it('is two people only with two credentials', async () => {
    const run = await asking.ask();
    const ana = await operator(ANA);
    await approve(run, ana);
    await approve(run, await operator(ANA));
    assert.deepEqual(await saidBy(run), [ANA]);
    await approve(run, await operator(BO));
    assert.deepEqual(await saidBy(run), [ANA, BO]);
  });

  it('is whom an administrator names', async () => {
    const run = await asking.ask();
    const token = { authorization: 'Bearer the-administrators-token' };
    assertProblem(await approve(run, token), 422, 'decision_invalid');
    assert.equal((await approve(run, { ...token, 'x-actor': BO })).status, 200);
    assert.deepEqual(await saidBy(run), [BO]);
  });
});
