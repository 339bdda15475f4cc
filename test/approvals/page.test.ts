import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { signLink } from '../../src/approvals/token.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { RunId } from '../../src/model/run.ts';
import {
  ANA,
  askingRuns,
  BO,
  CY,
  PARK,
  SECRET,
  startPages,
  tokenFor as tokenAt,
} from './support.ts';

/** A page as it reads: without markup, one space between words. */
const textOf = (page: string): string =>
  page
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

describe('the approval page', () => {
  let journal: Journal;
  let asking: ReturnType<typeof askingRuns>;
  let pages: Awaited<ReturnType<typeof startPages>>;
  let clock = Date.parse('2026-11-21T12:00:00Z');
  const now = () => new Date(clock);
  const tokenFor = (run: RunId, approver: string) => tokenAt(run, approver, now);
  const parkOf = async (run: RunId) => {
    const park = await journal.findPark(run, PARK);
    assert.ok(park);
    return park;
  };
  const hasButtons = (page: string) => page.includes('<button');

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
  });
  beforeEach(async () => {
    clock = Date.parse('2026-11-21T12:00:00Z');
    asking = askingRuns(journal, now);
    pages = await startPages({ journal, runs: asking.runs, now });
  });
  afterEach(() => pages?.stop());
  after(() => journal?.close());

  it('shows the question: what, who is asked, how many it takes, until when', async () => {
    const run = await asking.ask({
      context: { requestedBy: 'Dana', systems: ['billing', 'ledger'], days: 30, urgent: false },
      approvers: [ANA, BO, CY],
    });
    const { status, page } = await pages.call(await tokenFor(run, BO));
    assert.equal(status, 200);
    assert.ok(page.includes('<h1 dir="auto">Access to billing for Dana</h1>'));
    const text = textOf(page);
    assert.match(text, /Asked by accessRequest/);
    assert.match(text, /You are bo@acme\.example/);
    assert.match(text, /Until 22 Nov 2026, 12:00 UTC \(24 hours left\)/);
    assert.match(text, /Requested by Dana Systems billing ledger Days 30 Urgent no/);
    assert.match(text, /2 of 3 must approve; one rejection ends it/);
    assert.match(text, /ana@acme\.example no answer yet bo@acme\.example \(you\) no answer yet/);
    assert.ok(hasButtons(page));
  });

  it('changes nothing when it is opened, however often and by whatever', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const before = await journal.findRun(run);
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      for (const query of ['', '?action=approve&reason=x', '/', '/approve']) {
        await pages.call(`${token}${query}`, { method });
      }
    }
    assert.equal((await pages.call(token, { method: 'HEAD' })).status, 200);
    assert.equal((await pages.call(token, { method: 'PUT' })).status, 405);
    assert.deepEqual(asking.decisions, []);
    assert.deepEqual(await journal.findRun(run), before);
  });

  it('takes an approval with its reason, and says what it takes still', async () => {
    const run = await asking.ask();
    const first = await pages.press(await tokenFor(run, ANA), 'approve', ' she is new\r\nhere ');
    assert.equal(first.status, 200);
    assert.match(textOf(first.page), /You have approved this\. That makes 1 of 2\./);
    assert.ok(!hasButtons(first.page));
    assert.deepEqual(asking.decisions, [
      { action: 'approve', reason: 'she is new\nhere', actor: ANA, parkId: PARK, via: 'link' },
    ]);
    assert.equal((await parkOf(run)).decision, undefined);

    const other = await pages.call(await tokenFor(run, BO));
    assert.match(textOf(other.page), /ana@acme\.example Approved .* she is new here/);
    const second = await pages.press(await tokenFor(run, BO), 'approve');
    assert.match(textOf(second.page), /You have approved this\. It is decided\./);
    assert.equal((await parkOf(run)).decision?.action, 'approve');
  });

  it('says who has answered before the journal has heard of it', async () => {
    const run = await asking.ask({ need: 1 });
    asking.state.tellsJournal = false;
    const { page } = await pages.press(await tokenFor(run, ANA), 'approve', 'yes');
    assert.match(textOf(page), /^.*Approved .*It is decided.*ana@acme\.example \(you\) Approved/);
    assert.equal((await parkOf(run)).decision, undefined);
  });

  it('needs a reason to reject, and keeps what was written when it was too much', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const without = await pages.press(token, 'reject', ' \r\n ');
    assert.equal(without.status, 422);
    assert.match(textOf(without.page), /Please say why you reject it/);
    assert.ok(hasButtons(without.page));
    const long = await pages.press(token, 'approve', `${'x'.repeat(LIMITS.reasonCharactersMax)}é`);
    assert.equal(long.status, 422);
    assert.ok(long.page.includes(`${'x'.repeat(LIMITS.reasonCharactersMax)}é</textarea>`));
    assert.deepEqual(asking.decisions, []);

    const taken = await pages.press(token, 'reject', 'not hers');
    assert.match(textOf(taken.page), /You have rejected this\. It is decided\./);
    assert.deepEqual((await parkOf(run)).decision, {
      action: 'reject',
      reason: 'not hers',
      actor: ANA,
      via: 'link',
    });
  });

  it('gives the same answer to the same button pressed twice, also at once', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const answers = await Promise.all([1, 2, 3].map(() => pages.press(token, 'approve')));
    answers.push(await pages.press(token, 'approve', 'again, for another reason'));
    for (const { status, page } of answers) {
      assert.equal(status, 200);
      assert.match(textOf(page), /You have approved this\. That makes 1 of 2\./);
    }
    assert.equal((await parkOf(run)).voices.length, 1);
  });

  it('lets nobody take an answer back', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    await pages.press(token, 'approve');
    const { status, page } = await pages.press(token, 'reject', 'changed my mind');
    assert.equal(status, 409);
    assert.match(textOf(page), /You have approved this before, and that stands/);
    const reopened = await pages.call(token);
    assert.equal(reopened.status, 200);
    assert.match(textOf(reopened.page), /Waiting for others.*You have approved this/);
    assert.ok(!hasButtons(reopened.page));
    assert.equal((await parkOf(run)).voices[0]?.action, 'approve');
  });

  it('says that an opposite answer does not count when the journal is behind', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    asking.state.tellsJournal = false;
    await pages.press(token, 'approve');
    const refused = await pages.press(token, 'reject', 'changed my mind');
    assert.equal(refused.status, 409);
    assert.match(textOf(refused.page), /You have approved this before, and that stands/);
    await asking.tell(run);
    assert.deepEqual(
      (await parkOf(run)).voices.map(({ action }) => action),
      ['approve'],
    );
  });

  it('says by whom and when it was decided, whoever opens it and whatever is pressed', async () => {
    const run = await asking.ask({ approvers: [ANA, BO, CY], need: 2 });
    await pages.press(await tokenFor(run, ANA), 'approve');
    await pages.press(await tokenFor(run, BO), 'approve');
    for (const approver of [ANA, CY]) {
      const { status, page } = await pages.call(await tokenFor(run, approver));
      assert.equal(status, 200);
      assert.match(textOf(page), /Approved: bo@acme\.example decided it on \d+ \w+ \d{4}/);
      assert.ok(!hasButtons(page));
    }
    const late = await pages.press(await tokenFor(run, CY), 'reject', 'no');
    assert.equal(late.status, 200);
    assert.match(textOf(late.page), /decided before your answer came, so .* does not count/);
    const again = await pages.press(await tokenFor(run, ANA), 'approve');
    assert.equal(again.status, 200);
    assert.match(textOf(again.page), /You have approved this\. It is decided\./);
    assert.equal((await parkOf(run)).voices.length, 2);
  });

  it('does not tell those who were outvoted that theirs was the decision', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    await pages.press(token, 'approve');
    await pages.press(await tokenFor(run, BO), 'reject', 'not hers');
    const again = await pages.press(token, 'approve');
    assert.equal(again.status, 200);
    assert.match(textOf(again.page), /Rejected: bo@acme\.example decided it/);
    assert.doesNotMatch(textOf(again.page), /You have approved this\. It is decided/);
  });

  it('says that its time is over, by the link and by the question', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const early = await signLink({ run, parkId: PARK, approver: ANA }, clock + 1_000, [SECRET]);
    clock += 2_000;
    for (const answer of [await pages.call(early), await pages.press(early, 'approve')]) {
      assert.equal(answer.status, 410);
      assert.match(textOf(answer.page), /This link has expired/);
      assert.ok(!answer.page.includes('billing'), 'an old link tells nothing');
    }
    const decision = { action: 'expired', reason: 'nobody answered', actor: 'tidegate' } as const;
    await journal.activities['journal.resume']({ run, parkId: PARK, decision });
    for (const answer of [await pages.call(token), await pages.press(token, 'approve')]) {
      assert.equal(answer.status, 410);
      assert.match(textOf(answer.page), /The time to decide is over/);
    }
    clock += 86_400_000;
    assert.equal((await pages.call(token)).status, 410);
    assert.deepEqual(asking.decisions, []);
  });

  it('tells nothing about a link that is not one', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const other = await signLink({ run, parkId: PARK, approver: ANA }, clock + 60_000, [
      'b'.repeat(32),
    ]);
    const wrong = ['x', '', '..', 'a/b', '%ff', '%00', other, token.slice(0, -1), `${token}x`];
    const [first, ...rest] = await Promise.all(wrong.map((text) => pages.call(text)));
    assert.equal(first?.status, 404);
    for (const answer of rest) {
      assert.equal(answer.status, 404);
      assert.equal(answer.page, first?.page);
    }
    const pressed = await Promise.all(wrong.map((text) => pages.press(text, 'approve')));
    for (const answer of pressed) assert.equal(answer.page, first?.page);
    assert.deepEqual(asking.decisions, []);
  });

  it('does not let a link speak for somebody who is not asked', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, 'eve@acme.example');
    for (const answer of [await pages.call(token), await pages.press(token, 'approve')]) {
      assert.equal(answer.status, 403);
      assert.match(textOf(answer.page), /You are not asked any more/);
      assert.ok(!hasButtons(answer.page));
    }
    assert.deepEqual(asking.decisions, []);
  });

  it('says that a question is gone, withdrawn or closed with its run', async () => {
    const [ended, aborted, lost] = [await asking.ask(), await asking.ask(), await asking.ask()];
    const gone = await signLink(
      { run: ended, parkId: '9/approval#1/1', approver: ANA },
      clock + 9e4,
      [SECRET],
    );
    assert.equal((await pages.call(gone)).status, 410);
    asking.end(ended);
    const pressed = await pages.press(await tokenFor(ended, ANA), 'approve');
    assert.equal(pressed.status, 410);
    assert.match(textOf(pressed.page), /Withdrawn .* not asked any more/);
    const decision = { action: 'abort', reason: 'cancelled', actor: 'tidegate' } as const;
    await journal.activities['journal.resume']({ run: aborted, parkId: PARK, decision });
    await journal.settleLost(lost, 1, 'terminated');
    for (const run of [aborted, lost]) {
      const { status, page } = await pages.call(await tokenFor(run, ANA));
      assert.equal(status, 410);
      assert.match(textOf(page), /Withdrawn/);
    }
  });

  it('says that nothing was lost while Temporal is away, and takes the same again', async () => {
    const run = await asking.ask({ need: 1 });
    const token = await tokenFor(run, ANA);
    asking.state.away = true;
    const { status, headers, page } = await pages.press(token, 'approve', 'she is new');
    assert.equal(status, 503);
    assert.ok(Number(headers['retry-after']) > 0);
    assert.match(textOf(page), /Nothing was lost/);
    assert.ok(page.includes('she is new</textarea>'));
    assert.ok(hasButtons(page));
    asking.state.away = false;
    assert.equal((await pages.press(token, 'approve', 'she is new')).status, 200);
    assert.equal((await parkOf(run)).decision?.reason, 'she is new');
  });

  it('says so while the journal is away', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const away = new TidegateError('journal_unavailable', 'no answer from db.internal');
    const without = await startPages({
      journal: { ...journal, findPark: () => Promise.reject(away) },
      runs: asking.runs,
      now,
    });
    for (const answer of [await without.call(token), await without.press(token, 'approve')]) {
      assert.equal(answer.status, 503);
      assert.match(textOf(answer.page), /Nothing was lost/);
      assert.ok(!answer.page.includes('db.internal'));
    }
    await without.stop();
  });

  it('says that it is not set up where the ingress has no secret', async () => {
    const run = await asking.ask();
    const unset = await startPages({ journal, runs: asking.runs, now, secrets: [] });
    const { status, page } = await unset.call(await tokenFor(run, ANA));
    assert.equal(status, 503);
    assert.match(textOf(page), /Approvals are not set up here/);
    assert.ok(unset.log.some((line) => line.includes('TIDEGATE_LINK_SECRET')));
    await unset.stop();
  });

  it('shows what others wrote as text, never as markup', async () => {
    const hostile = `<script>alert(1)</script>"'&</textarea><img src=x onerror=y> \u202e`;
    const run = await asking.ask({
      title: hostile,
      context: { [hostile]: hostile, list: [hostile, { deep: [{ deeper: { still: hostile } }] }] },
      approvers: [hostile, ANA],
    });
    const token = await tokenFor(run, hostile);
    const voice = { approver: ANA, action: 'approve', reason: hostile, at: 0, via: 'api' } as const;
    await journal.activities['journal.voice']({ run, parkId: PARK, voice });
    const shown = await pages.call(token);
    const kept = await pages.press(token, 'approve', hostile.repeat(40));
    for (const { page } of [shown, kept]) {
      assert.doesNotMatch(page, /<script|<img|onerror=y>/i);
      assert.equal(page.match(/<textarea/g)?.length, page.match(/<\/textarea>/g)?.length);
      assert.match(page, /&lt;script&gt;alert\(1\)&lt;\/script&gt;&quot;&#39;&amp;/);
    }
  });

  it('bounds what it shows', async () => {
    const run = await asking.ask({
      context: Object.fromEntries(
        Array.from({ length: 2_000 }, (_, index) => [`field ${index}`, 'y'.repeat(5)]),
      ),
    });
    const long = await asking.ask({ context: { note: 'z'.repeat(15_000) } });
    const many = await pages.call(await tokenFor(run, ANA));
    assert.equal(many.page.match(/yyyyy/g)?.length, LIMITS.approvalContextRowsMax);
    assert.match(textOf(many.page), /There is more than fits this page/);
    const one = await pages.call(await tokenFor(long, ANA));
    assert.ok(one.page.includes(`${'z'.repeat(LIMITS.approvalValueCharactersMax)} …`));
    assert.ok(!one.page.includes('z'.repeat(LIMITS.approvalValueCharactersMax + 1)));
  });

  it('takes its own form only, and no large one', async () => {
    const token = await tokenFor(await asking.ask(), ANA);
    const body = '{"action":"approve"}';
    for (const type of ['application/json', 'text/plain', 'multipart/form-data', '']) {
      const headers = { 'content-type': type };
      assert.equal((await pages.call(token, { body, headers })).status, 415, type);
    }
    const large = `action=approve&reason=${'x'.repeat(LIMITS.approvalFormBytesMax)}`;
    assert.equal((await pages.call(token, { body: large })).status, 413);
    for (const form of ['', 'action=explode', 'action=approve&action=reject', 'reason=x', '%']) {
      assert.equal((await pages.call(token, { body: form })).status, 422, form);
    }
    assert.deepEqual(asking.decisions, []);
  });

  it('is kept by nobody, framed by nobody, and runs nothing', async () => {
    const token = await tokenFor(await asking.ask(), ANA);
    for (const answer of [
      await pages.call(token),
      await pages.call('unknown'),
      await pages.press(token, 'approve'),
    ]) {
      const { headers, page } = answer;
      assert.equal(headers['content-type'], 'text/html; charset=utf-8');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-powered-by'], undefined);
      const style = /<style>(.*)<\/style>/s.exec(page)?.[1] ?? '';
      const hash = createHash('sha256').update(style).digest('base64');
      assert.equal(
        headers['content-security-policy'],
        `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      );
      assert.doesNotMatch(page, /<script|javascript:|\son\w+=|style="|src=|href=/);
    }
  });

  it('asks for no bearer token, and answers under the names of this machine only', async () => {
    const token = await tokenFor(await asking.ask(), ANA);
    for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1']) {
      const { status, page } = await pages.call(token, { headers: { host } });
      assert.equal(status, 403, host);
      assert.ok(!page.includes('billing'));
    }
    const publicUrl = 'https://flows.acme.example/tidegate';
    const proxied = await startPages({ journal, runs: asking.runs, now, publicUrl });
    for (const [host, status] of [
      ['flows.acme.example', 200],
      ['Flows.acme.example:443', 200],
      ['localhost', 200],
      ['evil.example', 403],
      ['flows.acme.example.evil.example', 403],
    ] as const) {
      assert.equal((await proxied.call(token, { headers: { host } })).status, status, host);
    }
    await proxied.stop();
  });

  it('leaves no link in the log, whatever becomes of it', async () => {
    const run = await asking.ask();
    const token = await tokenFor(run, ANA);
    const reason = 'hunter2-in-the-reason';
    await pages.call(token);
    await pages.call(`${token}%ff`);
    await pages.call(`${token}/x?token=${token}`);
    await pages.call(token, { method: 'PUT' });
    await pages.call(token, { body: reason, headers: { 'content-type': 'text/plain' } });
    await pages.call(token, { headers: { host: 'evil.example' } });
    asking.state.away = true;
    await pages.press(token, 'approve', reason);
    asking.state.away = false;
    await pages.press(token, 'approve', reason);
    await pages.press(token, 'reject', reason);
    const broken = {
      ...journal,
      findPark: () => Promise.reject(new Error('the database said no')),
    };
    const failing = await startPages({ journal: broken, runs: asking.runs, now });
    assert.equal((await failing.call(token)).status, 500);
    await failing.stop();
    const lines = [...pages.log, ...failing.log];
    assert.ok(lines.length >= 7);
    for (const secret of [token, token.slice(-20), reason, SECRET]) {
      assert.deepEqual(
        lines.filter((line) => line.includes(secret)),
        [],
      );
    }
  });
});
