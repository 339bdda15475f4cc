import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stories } from '../../examples/demo/stories';
import { untilHourHasRoom } from '../../examples/demo/stories/support-volume';
import { until } from '../support/wait.ts';
import { type Acme, startAcme } from './support.ts';

describe('examples/acme, as npm start runs it', () => {
  let acme: Acme;

  before(async function () {
    this.timeout(90_000);
    acme = await startAcme();
  });
  after(async function () {
    this.timeout(30_000);
    await acme?.stop();
  });

  const because = 'the test decides';
  const settlementOf = async (run: string) => (await acme.settled(run)).settlements.at(-1);
  /** Sends each event twice, as a sender does who did not see the answer. */
  async function sendTwice(type: string, id: string, data: object): Promise<void> {
    assert.equal(await acme.send(type, id, data), 'accepted');
    assert.equal(await acme.send(type, id, data), 'duplicate');
  }

  describe('dealDigest', () => {
    const run = 'dealDigest:default:D-9';
    const change = (stage: string, amount = 5_000) => ({
      dealId: 'D-9',
      stage,
      amount,
      currency: 'EUR',
    });

    it('makes one message of several changes, with the state that the CRM tells', async () => {
      for (const stage of ['lead', 'proposal', 'negotiation']) {
        await sendTwice('deal.stage_changed', `D-9-${stage}`, change(stage));
      }
      await acme.seen(run, 3);
      await acme.decide(run, { action: 'flush', reason: because });
      assert.equal((await settlementOf(run))?.window?.count, 3);
      const text = 'Deal D-9: won (3 changes)';
      const message = { operation: 'slack.postMessage', input: { channel: '#deals', text } };
      assert.deepEqual(await acme.left(run), [message]);
    });

    it('leaves small deals alone', async () => {
      assert.equal(await acme.send('deal.stage_changed', 'D-9-s', change('won', 999)), 'filtered');
    });
  });

  describe('leadEdits', () => {
    const run = 'leadEdits:default:L-1';
    const edit = (field: string, to: string) => ({ leadId: 'L-1', field, to, editor: 'bo' });

    it('makes one notice of five edits, each sent twice, with the last value of a field', async () => {
      const edits = [
        edit('phone', '1'),
        edit('phone', '2'),
        edit('city', 'Oslo'),
        edit('owner', 'Ana'),
        edit('phone', '3'),
      ];
      for (const [index, data] of edits.entries()) {
        await sendTwice('lead.edited', `L-1-${index}`, data);
      }
      await acme.seen(run, 5);
      await acme.decide(run, { action: 'flush', reason: because });
      const window = (await settlementOf(run))?.window;
      assert.deepEqual([window?.count, window?.closedBy], [5, 'flushed']);
      assert.deepEqual(await acme.left(run), [
        {
          operation: 'slack.postMessage',
          input: {
            channel: '#leads',
            text: 'Lead L-1 (5 edits): phone is now 3, city is now Oslo, owner is now Ana',
          },
        },
      ]);
    });

    it('takes no edit for one that the CRM makes itself', async () => {
      assert.equal(
        await acme.send('lead.edited', 'L-1-viewed', edit('lastViewedAt', 'now')),
        'filtered',
      );
    });
  });

  describe('supportVolume', () => {
    const run = 'supportVolume:default:emea';
    const create = (number: number, team: string, priority = 'normal') =>
      sendTwice('ticket.created', `T-${number}`, {
        ticketId: `T-${number}`,
        desk: 'emea',
        team,
        priority,
        title: 'Nobody can log in',
        customer: 'bo@customer.example',
      });
    before(async function () {
      this.timeout(30_000);
      await untilHourHasRoom();
    });
    const textsOf = async () => (await acme.left(run)).map(({ input }) => input.text);

    it('counts by team, and closes at once with an urgent ticket, which is paged', async () => {
      for (const [index, team] of ['login', 'billing', 'login'].entries()) {
        await create(index, team);
      }
      await acme.seen(run, 3);
      assert.deepEqual(await textsOf(), []);
      await create(3, 'login', 'urgent');
      const window = (await settlementOf(run))?.window;
      assert.deepEqual([window?.count, window?.closedBy], [4, 'urgent']);
      assert.deepEqual(await textsOf(), [
        'T-3: Nobody can log in',
        'emea: 4 tickets, login 3, billing 1 (closed by urgent)',
      ]);
    });

    it('counts what comes after that in a window of its own, each ticket once', async () => {
      await create(4, 'delivery');
      await acme.seen(run, 5);
      await acme.decide(run, { action: 'flush', reason: because });
      const window = (await settlementOf(run))?.window;
      assert.deepEqual([window?.count, window?.closedBy], [1, 'flushed']);
      assert.equal((await textsOf()).at(-1), 'emea: 1 tickets, delivery 1 (closed by flushed)');
    });
  });

  describe('productIncident', () => {
    const incident = (incidentId: string, product: string, severity = 'sev1') => ({
      incidentId,
      product,
      severity,
      title: 'Checkout is down',
    });
    const told = ['paging.page', 'slack.postMessage', 'statusPage.publish'];

    it('tells everybody once, and says so', async () => {
      const run = 'productIncident:default:INC-1';
      await sendTwice('incident.declared', 'INC-1', incident('INC-1', 'web'));
      assert.deepEqual((await settlementOf(run))?.result, { status: 'full', missing: [] });
      const left = await acme.left(run);
      assert.deepEqual(
        left
          .slice(0, 4)
          .map(({ operation }) => operation)
          .sort(),
        [...told, 'tracker.openIssue'],
      );
      assert.equal(left[4]?.input.text, 'INC-1: all are told');
      assert.equal(left.length, 5);
    });

    it('goes on without one who cannot be told, when a person says so', async () => {
      const run = 'productIncident:default:INC-2';
      await acme.send('incident.declared', 'INC-2', incident('INC-2', 'fax'));
      const { park } = await acme.parked(run);
      assert.deepEqual(
        [park?.errorClass, park?.step],
        ['persistent', 'fanOut#1/tracker/tracker.openIssue#1'],
      );
      await acme.decide(run, { action: 'abort', reason: because });
      const expected = { status: 'partial', missing: ['tracker'] };
      assert.deepEqual((await settlementOf(run))?.result, expected);
      const left = await acme.left(run);
      assert.deepEqual(
        left
          .slice(0, 3)
          .map(({ operation }) => operation)
          .sort(),
        told,
      );
      assert.equal(left[3]?.input.text, 'INC-2: not told: tracker');
    });

    it('tells everybody when a person has opened the issue by hand', async () => {
      const run = 'productIncident:default:INC-3';
      await acme.send('incident.declared', 'INC-3', incident('INC-3', 'fax'));
      await acme.parked(run);
      await acme.decide(run, { action: 'skip', reason: because, input: { key: 'WEB-7' } });
      assert.deepEqual((await settlementOf(run))?.result, { status: 'full', missing: [] });
    });

    it('leaves the small ones alone', async () => {
      const small = incident('INC-4', 'web', 'sev3');
      assert.equal(await acme.send('incident.declared', 'INC-4', small), 'filtered');
    });
  });

  describe('customerOnboarding', () => {
    const runOf = (customerId: string) => `customerOnboarding:default:${customerId}`;
    const sign = (customerId: string) =>
      sendTwice('customer.signed', customerId, {
        customerId,
        plan: 'team',
        contact: 'bo@customer.example',
      });
    const finish = (customerId: string, check: string, passed = true) =>
      sendTwice('check.finished', `${customerId}-${check}`, { customerId, check, passed });

    it('activates with all three checks, and credits a referral that came in time', async () => {
      await finish('C-1', 'identity');
      await sign('C-1');
      for (const check of ['referral', 'crm', 'legal']) await finish('C-1', check);
      const passed = ['identity', 'referral', 'crm', 'legal'];
      const run = runOf('C-1');
      assert.deepEqual((await settlementOf(run))?.result, { status: 'active', passed });
      assert.deepEqual(await acme.operations(run), [
        'crm.setCustomerStatus',
        'billing.creditReferral',
        'slack.postMessage',
      ]);
    });

    it('waits for no referral', async () => {
      await sign('C-2');
      for (const check of ['legal', 'crm', 'identity']) await finish('C-2', check);
      const run = runOf('C-2');
      assert.equal((await settlementOf(run))?.window?.closedBy, 'need');
      assert.deepEqual(await acme.operations(run), ['crm.setCustomerStatus', 'slack.postMessage']);
    });

    it('declines with the first required check that fails, and a referral makes up for none', async () => {
      await sign('C-3');
      for (const check of ['referral', 'crm']) await finish('C-3', check);
      await finish('C-3', 'legal', false);
      const run = runOf('C-3');
      const expected = { status: 'declined', passed: ['referral', 'crm'] };
      assert.deepEqual((await settlementOf(run))?.result, expected);
      const [decided] = await acme.left(run);
      assert.deepEqual(decided?.input, { id: 'C-3', status: 'declined' });
      assert.equal((await acme.left(run)).length, 2);
    });

    it('tells who is waited for when time is up', async () => {
      await sign('C-4');
      await finish('C-4', 'crm');
      const run = runOf('C-4');
      await acme.seen(run, 2);
      await acme.decide(run, { action: 'flush', reason: because });
      assert.deepEqual((await settlementOf(run))?.result, { status: 'timedOut', passed: ['crm'] });
      const [told] = await acme.left(run);
      assert.equal(told?.input.text, 'Company C-4 waits for identity, legal');
    });

    it('decides nothing when a check finishes after the decision', async () => {
      await finish('active-1', 'referral');
      const run = runOf('active-1');
      assert.deepEqual((await settlementOf(run))?.result, { status: 'active' });
      assert.deepEqual(await acme.left(run), []);
    });
  });

  describe('orderFulfilment', () => {
    const order = (orderId: string, fields: object = {}) => ({
      orderId,
      customerId: 'C-9',
      lines: [{ sku: 'lamp', quantity: 2 }],
      total: 118,
      currency: 'EUR',
      address: 'Karl Johans gate 1, Oslo',
      ...fields,
    });

    it('reserves, charges, ships and tells, once', async () => {
      const run = 'orderFulfilment:default:O-1';
      await sendTwice('order.placed', 'O-1', order('O-1'));
      assert.deepEqual((await settlementOf(run))?.result, { tracking: 'ACME-O-1' });
      assert.deepEqual(await acme.operations(run), [
        'inventory.reserve',
        'billing.charge',
        'shipping.ship',
        'slack.postMessage',
      ]);
    });

    it('undoes all of it, newest first, when the last step cannot be done', async () => {
      const run = 'orderFulfilment:default:O-2';
      await sendTwice('order.placed', 'O-2', order('O-2', { address: 'nowhere' }));
      const { park } = await acme.parked(run);
      assert.deepEqual([park?.step, park?.errorClass], ['body', 'fatal']);
      await acme.decide(run, { action: 'skip', reason: because });
      assert.equal((await settlementOf(run))?.outcome, 'skipped');
      assert.deepEqual(await acme.operations(run), [
        'inventory.reserve',
        'billing.charge',
        'shipping.cancel',
        'billing.refund',
        'inventory.release',
      ]);
    });

    it('charges nobody for what is not there', async () => {
      const run = 'orderFulfilment:default:O-3';
      await acme.send(
        'order.placed',
        'O-3',
        order('O-3', { lines: [{ sku: 'chair', quantity: 1 }] }),
      );
      await acme.parked(run);
      assert.deepEqual(await acme.operations(run), ['inventory.release']);
    });
  });

  describe('accessRequest', () => {
    const requestAccess = (requestId: string, requester = 'dan@acme.example') =>
      sendTwice('access.requested', requestId, {
        requestId,
        system: 'billing',
        role: 'admin',
        why: 'month end',
        requester,
      });
    const approve = { action: 'approve', reason: because };
    /** What the three approvers were sent. */
    const asked = (run: string) =>
      until(`${run} to ask three`, async () => {
        const left = await acme.left(run);
        return left.length === 3 && left;
      });
    const channelsOf = async (run: string) =>
      (await acme.left(run)).map(({ input }) => input.channel ?? input.role);

    it('is granted by two different people, and one of them twice is one', async () => {
      const run = 'accessRequest:default:R-1';
      await requestAccess('R-1');
      await asked(run);
      assert.equal(await acme.decide(run, approve, 'ana@acme.example'), 200);
      assert.equal(await acme.decide(run, approve, 'ana@acme.example'), 200);
      assert.equal((await acme.parked(run)).status, 'parked');
      assert.equal(await acme.decide(run, approve, 'bo@acme.example'), 200);
      assert.deepEqual((await settlementOf(run))?.result, { status: 'approved', voices: 2 });
      assert.deepEqual(await channelsOf(run), [
        'ana@acme.example',
        'bo@acme.example',
        'cy@acme.example',
        'admin',
        // The requester, whom the contract marks as personal.
        '***',
      ]);
    });

    it('is approved by the link that each was sent, which is good for one voice', async () => {
      const run = 'accessRequest:default:R-4';
      await requestAccess('R-4');
      for (const message of await asked(run)) {
        const link = /https?:\/\/\S+/.exec(String(message.input.text))?.[0] ?? '';
        const page = await (await fetch(link)).text();
        assert.match(page, /admin on billing for dan@acme\.example/);
        const body = new URLSearchParams({ action: 'approve', reason: because });
        const answers = [await fetch(link, { method: 'POST', body }), await fetch(link)];
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 200],
        );
      }
      assert.deepEqual((await settlementOf(run))?.result, { status: 'approved', voices: 2 });
      assert.deepEqual(
        (await acme.settled(run)).park?.voices.map(({ approver, via }) => [approver, via]),
        [
          ['ana@acme.example', 'link'],
          ['bo@acme.example', 'link'],
        ],
      );
    });

    it('is refused by the first who rejects it, and nothing is granted', async () => {
      const run = 'accessRequest:default:R-2';
      await requestAccess('R-2');
      await asked(run);
      await acme.decide(run, approve, 'ana@acme.example');
      await acme.decide(
        run,
        { action: 'reject', reason: 'not for contractors' },
        'bo@acme.example',
      );
      assert.deepEqual((await settlementOf(run))?.result, { status: 'rejected', voices: 2 });
      const left = await acme.left(run);
      assert.equal(left.filter(({ operation }) => operation === 'directory.grant').length, 0);
      assert.match(
        String(left.at(-1)?.input.text),
        /rejected.*bo@acme.example: not for contractors/,
      );
    });

    it('is not for who asks to approve', async () => {
      const run = 'accessRequest:default:R-3';
      await requestAccess('R-3', 'ana@acme.example');
      const { park } = await acme.parked(run);
      assert.deepEqual(park?.question?.approvers, ['bo@acme.example', 'cy@acme.example']);
      assert.notEqual(await acme.decide(run, approve, 'ana@acme.example'), 200);
    });
  });

  describe('invoice.paid', () => {
    const invoice = (invoiceId: string, fields: object = {}) => ({
      invoiceId,
      period: '2026-11',
      amount: 4_200,
      currency: 'EUR',
      payer: 'bo@customer.example',
      ...fields,
    });

    it('is booked, receipted and noted on its deal by three runs of their own', async () => {
      await sendTwice('invoice.paid', 'I-1', invoice('I-1', { dealId: 'D-1' }));
      const runs = ['invoiceReceipt', 'invoiceLedger', 'invoiceDealUpdate'];
      for (const flow of runs) {
        assert.equal((await settlementOf(`${flow}:default:I-1`))?.outcome, 'completed');
      }
      const left = await Promise.all(runs.map((flow) => acme.operations(`${flow}:default:I-1`)));
      assert.deepEqual(left, [['billing.sendReceipt'], ['ledger.post'], ['crm.addNote']]);
    });

    it('becomes a change of its deal, which the deal digest tells of', async () => {
      const run = 'dealDigest:default:D-1';
      assert.equal((await settlementOf(run))?.window?.closedBy, 'quiet');
      assert.deepEqual(await acme.operations(run), ['slack.postMessage']);
    });

    it('is receipted although its books are closed, which a person is told', async () => {
      await acme.send('invoice.paid', 'I-2', invoice('I-2', { period: '2025-12' }));
      assert.equal((await settlementOf('invoiceReceipt:default:I-2'))?.outcome, 'completed');
      const { park } = await acme.parked('invoiceLedger:default:I-2');
      assert.match(park?.reason ?? '', /books of 2025-12 are closed/);
      assert.deepEqual(await acme.left('invoiceLedger:default:I-2'), []);
    });
  });

  describe('the stories of npm run demo', () => {
    const demo = (...args: readonly string[]) =>
      new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
        const path = fileURLToPath(new URL('../../examples/demo/main.ts', import.meta.url));
        const options = ['--conditions=tidegate-source', '--import', 'tsx', path, ...args];
        const env = { ...process.env, PORT: String(acme.port), NO_COLOR: '1' };
        const child = spawn(process.execPath, options, { env });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (chunk) => {
            output += chunk;
          });
        }
        child.once('close', (code) => resolve({ code, output }));
      });

    for (const { name } of stories) {
      it(`keeps the promise of ${name}`, async () => {
        const { code, output } = await demo(name);
        assert.equal(code, 0, output);
      }).timeout(90_000);
    }

    it('lists them, also for a name that is none', async () => {
      const listed = await demo('--list');
      assert.equal(listed.code, 0);
      const { code, output } = await demo('access');
      assert.equal(code, 1);
      assert.match(output, /There is no story access\./);
      for (const { name, summary } of stories) {
        for (const text of [listed.output, output]) {
          assert.ok(text.includes(name) && text.includes(summary));
        }
      }
    });
  });
});
