import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Question, Voice } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { onBothDatabases } from './both-databases.ts';
import { freshRun, oneTo } from './entries.ts';

const question: Question = {
  kind: 'approval',
  title: 'Access to billing for u1',
  context: { system: 'billing', note: 'NUL \0, half \ud83d a pair' },
  approvers: ['ana@acme.example', 'bo@acme.example'],
  need: 2,
  dueAt: 1_900_000_000_000,
  linkNonce: 'only-the-worker-needs-it',
};
const ana: Voice = {
  approver: 'ana@acme.example',
  action: 'approve',
  reason: 'she needs it',
  at: 1_800_000_000_000,
  via: 'link',
};
const bo: Voice = { ...ana, approver: 'bo@acme.example', at: ana.at + 1, via: 'api' };

onBothDatabases('what a run asks of people', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  const ask = (run: RunId, parkId: string, asked: Question | null = question) =>
    journal.activities['journal.park']({
      run,
      workflowRunId: 'execution-1',
      parkId,
      step: 'approval#1',
      reason: 'Access to billing for u1',
      ...(asked === null ? {} : { question: asked }),
    });
  const say = (run: RunId, parkId: string, voice: Voice) =>
    journal.activities['journal.voice']({ run, parkId, voice });
  const asking = async () => {
    const { run, entry } = freshRun('access');
    await journal.append([entry()]);
    await ask(run, '1/approval#1/1');
    return run;
  };
  const parkOf = async (run: RunId) => {
    const park = (await journal.findRun(run))?.park;
    assert.ok(park !== undefined);
    return park;
  };

  it('shows the question without what makes its links, and no error class', async () => {
    const run = await asking();
    const { linkNonce: _, ...shown } = question;
    const park = await parkOf(run);
    assert.deepEqual(park.question, shown);
    assert.equal('errorClass' in park, false);
    assert.deepEqual(await journal.findPark(run, '1/approval#1/1'), park);
    assert.deepEqual(await journal.findQuestion(run, '1/approval#1/1'), question);
    assert.equal(await journal.findPark(run, '1/approval#1/2'), undefined);
    assert.equal(await journal.findQuestion(run, 'NUL \0'), undefined);
  });

  it('keeps what each approver said first, in the order in which it came', async () => {
    const run = await asking();
    await say(run, '1/approval#1/1', bo);
    await say(run, '1/approval#1/1', ana);
    await Promise.all(oneTo(3).map(() => say(run, '1/approval#1/1', ana)));
    await say(run, '1/approval#1/1', { ...ana, action: 'reject', at: 1 });
    await say(run, '1/approval#1/2', { ...ana, reason: 'about another question' });
    assert.deepEqual((await parkOf(run)).voices, [ana, bo]);
  });

  it('asks what was told last, until it is decided', async () => {
    const run = await asking();
    await say(run, '1/approval#1/1', ana);
    const escalated = { ...question, approvers: [...question.approvers, 'cto@acme.example'] };
    await ask(run, '1/approval#1/1', escalated);
    assert.deepEqual((await parkOf(run)).question?.approvers, escalated.approvers);
    assert.deepEqual((await parkOf(run)).voices, [ana]);
    assert.equal((await journal.findRun(run))?.status, 'parked');

    const decision = { action: 'approve', reason: '', actor: bo.approver, via: 'link' } as const;
    await journal.activities['journal.resume']({ run, parkId: '1/approval#1/1', decision });
    await ask(run, '1/approval#1/1');
    const row = await journal.findRun(run);
    assert.equal(row?.status, 'open', 'a late repeat does not ask again');
    assert.deepEqual(row?.park?.question?.approvers, escalated.approvers);
    assert.deepEqual(row?.park?.decision, decision);
  });

  it('knows a question that nobody answered in time from one that was decided', async () => {
    const run = await asking();
    const decision = { action: 'expired', reason: 'nobody answered', actor: 'tidegate' } as const;
    await journal.activities['journal.resume']({ run, parkId: '1/approval#1/1', decision });
    assert.equal((await parkOf(run)).decision?.action, 'expired');
  });

  it('says that a question was closed with its window', async () => {
    const run = await asking();
    await journal.settleLost(run, 1, 'terminated');
    const park = await parkOf(run);
    assert.ok(park.closedAt !== undefined);
    assert.equal(park.decision, undefined);
  });

  it('lists open questions among the dead letters, with what has been said', async () => {
    const [run, plain] = [await asking(), freshRun('access')];
    await say(run, '1/approval#1/1', ana);
    await journal.append([plain.entry()]);
    await ask(plain.run, '1/park#1/1', null);
    const { rows } = await journal.listDeadLetters({ limit: 500 });
    const letterOf = (wanted: RunId) => {
      const letter = rows.find((row) => row.kind === 'parked' && row.run === wanted);
      assert.ok(letter?.kind === 'parked');
      return letter;
    };
    assert.equal(letterOf(run).question?.kind, 'approval');
    assert.equal(JSON.stringify(letterOf(run)).includes('only-the-worker'), false);
    assert.deepEqual(letterOf(run).voices, [ana]);
    assert.equal('errorClass' in letterOf(run), false);
    assert.equal('question' in letterOf(plain.run), false);
    assert.deepEqual(letterOf(plain.run).voices, []);
  });
});

onBothDatabases('what steps have done', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  const record = (run: RunId, window: number, step: string, did: string) =>
    journal.activities['journal.record']({ run, window, step, kind: 'saga', record: { did } });
  const shown = async (run: RunId) =>
    (await journal.stepRecords(run)).map(({ window, step, record: of }) => [window, step, of]);

  it('shows of the newest window what was told last, in the order of the steps', async () => {
    const { run } = freshRun('order');
    assert.deepEqual(await shown(run), []);
    await record(run, 1, 'saga#1', 'an earlier window');
    await record(run, 12, 'saga#2', 'reserve');
    await record(run, 12, 'saga#1', 'charge');
    await record(run, 12, 'saga#2', 'reserve, undone \0');
    assert.deepEqual(await shown(run), [
      [12, 'saga#2', { did: 'reserve, undone \0' }],
      [12, 'saga#1', { did: 'charge' }],
    ]);
  });

  it('shows as many as the limit says', async () => {
    const { run } = freshRun('order');
    const steps = oneTo(LIMITS.runRecordsMax + 1).map((number) => `saga#${number}`);
    for (const step of steps) await record(run, 1, step, 'all');
    assert.deepEqual(
      (await journal.stepRecords(run)).map(({ step }) => step),
      steps.slice(0, -1),
    );
  });
});
