/** What is recorded: each scenario is one run of one flow, named by its key. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorClass } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Stage } from './stage.ts';

export interface Scenario {
  readonly name: string;
  readonly flow: string;
  /** Plays until all that was sent is settled. */
  readonly play: (stage: Stage) => Promise<void>;
  /** How the first calls of `probe.act` fail, one after the other. */
  readonly failures?: readonly ErrorClass[];
  /** How the first call of `probe.act` with this label fails. */
  readonly failing?: Readonly<Record<string, ErrorClass>>;
  /** Whether executions are to continue as new after few events. */
  readonly grows?: boolean;
}

const played: readonly Scenario[] = [
  {
    name: 'immediate',
    flow: 'immediate',
    play: async (stage) => {
      await stage.send(3);
      await stage.settled();
    },
  },
  {
    name: 'late-repeat',
    flow: 'immediate',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
      await stage.repeatFirst();
    },
  },
  {
    name: 'debounce-burst',
    flow: 'trailing',
    play: async (stage) => {
      await stage.send(25);
      await stage.settled();
    },
  },
  {
    name: 'debounce-next-window',
    flow: 'trailing',
    play: async (stage) => {
      await stage.send(2);
      await sleep(900);
      await stage.send(2);
      await stage.settled();
    },
  },
  {
    name: 'debounce-flushed',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(2);
      await stage.collected(2);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'leading',
    flow: 'leading',
    play: async (stage) => {
      await stage.send(4, 100);
      await stage.settled();
    },
  },
  {
    name: 'leading-alone',
    flow: 'leading',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'both',
    flow: 'both',
    play: async (stage) => {
      await stage.send(4, 100);
      await stage.settled();
    },
  },
  {
    name: 'park-retry',
    flow: 'twoSteps',
    failures: ['persistent', 'transient'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await sleep(1_000);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'park-skip',
    flow: 'twoSteps',
    failures: ['persistent'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'skip', input: 'by hand' });
      await stage.settled();
    },
  },
  {
    name: 'park-abort',
    flow: 'twoSteps',
    failures: ['unknown'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'abort' });
      await stage.settled();
    },
  },
  {
    name: 'park-beside-a-running-step',
    flow: 'atOnce',
    failures: ['throttled'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'fatal-body-park',
    flow: 'twoSteps',
    failures: ['fatal'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    // What comes together has its common attributes said once.
    name: 'packed-deliveries',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(6);
      await stage.collected(6);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'cancelled',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(2);
      await stage.collected(2);
      await stage.cancel();
      await stage.settled();
    },
  },
  {
    name: 'continued-by-signals',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(1);
      await stage.collected(1);
      await stage.continued(() => stage.signal(LIMITS.signalsPerRunMax));
      await stage.collected(1);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'continued-in-a-window',
    flow: 'patient',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await stage.collected(1);
      await stage.continued(() => stage.send(10, 300));
      await stage.continued(() => stage.send(10, 300));
      await stage.collected(21);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'continued-while-parked',
    flow: 'twoSteps',
    grows: true,
    failures: ['persistent'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.continued(() => stage.send(8, 300));
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'continued-between-windows',
    flow: 'immediate',
    grows: true,
    play: async (stage) => {
      await stage.continued(() => stage.send(6));
      await stage.settled();
    },
  },
  {
    name: 'continued-after-a-leading-edge',
    flow: 'leading',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await sleep(800);
      await stage.continued(() => stage.send(10, 300));
      await stage.settled();
    },
  },
  {
    name: 'acme-deal-digest',
    flow: 'dealDigest',
    play: async (stage) => {
      const deal = { dealId: 'deal-1', amount: 5_000, currency: 'EUR' };
      for (const entered of ['qualified', 'proposal', 'won']) {
        await stage.sendData({ ...deal, stage: entered });
      }
      await stage.settled();
    },
  },
  {
    name: 'acme-welcome',
    flow: 'welcome',
    play: async (stage) => {
      await stage.sendData({ userId: 'user-1', name: 'Ada', email: 'ada@example.com' });
      await stage.settled();
    },
  },
  {
    name: 'hello',
    flow: 'hello',
    play: async (stage) => {
      await stage.sendData({ name: 'Ada' });
      await stage.settled();
    },
  },
  {
    name: 'acme-access-request',
    flow: 'accessRequest',
    play: async (stage) => {
      await stage.sendData({
        requestId: 'request-1',
        system: 'billing',
        role: 'reader',
        why: 'the audit',
        requester: 'ana@acme.example',
      });
      await stage.parked();
      await stage.decide({ action: 'approve', actor: 'bo@acme.example' });
      await stage.decide({ action: 'approve', actor: 'cy@acme.example' });
      await stage.settled();
    },
  },
  {
    name: 'acme-customer-onboarding',
    flow: 'customerOnboarding',
    play: async (stage) => {
      const customerId = 'customer-1';
      await stage.sendData(
        { customerId, plan: 'team', contact: 'ada@example.com' },
        'customer.signed',
      );
      await stage.waiting(1);
      for (const check of ['identity', 'referral', 'crm', 'legal']) {
        await stage.sendData({ customerId, check, passed: true }, 'check.finished');
      }
      await stage.settled();
    },
  },
  {
    name: 'acme-customer-declined',
    flow: 'customerOnboarding',
    play: async (stage) => {
      const customerId = 'customer-2';
      await stage.sendData(
        { customerId, plan: 'team', contact: 'ada@example.com' },
        'customer.signed',
      );
      await stage.sendData({ customerId, check: 'legal', passed: false }, 'check.finished');
      await stage.settled();
    },
  },
  ...['invoiceReceipt', 'invoiceLedger', 'invoiceDealUpdate'].map((flow) => ({
    name: `acme-${flow.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    flow,
    play: async (stage: Stage) => {
      await stage.sendData({
        invoiceId: 'invoice-1',
        period: '2026-11',
        amount: 120,
        currency: 'EUR',
        payer: 'ada@example.com',
        dealId: 'deal-1',
      });
      await stage.settled();
    },
  })),
  {
    name: 'acme-issue-notice',
    flow: 'issueNotice',
    play: async (stage) => {
      await stage.sendData({ repository: 'acme/shop', title: 'The cart is empty' });
      await stage.settled();
    },
  },
  {
    name: 'acme-lead-edits',
    flow: 'leadEdits',
    play: async (stage) => {
      for (const field of ['phone', 'company', 'phone']) {
        await stage.sendData({ leadId: 'lead-1', field, to: 'new', editor: 'ada@example.com' });
      }
      await stage.collected(3);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'acme-order-fulfilment',
    flow: 'orderFulfilment',
    play: async (stage) => {
      await stage.sendData(order('desk', 'Main Street 1'));
      await stage.settled();
    },
  },
  {
    name: 'acme-order-undone',
    flow: 'orderFulfilment',
    play: async (stage) => {
      await stage.sendData(order('desk', 'nowhere'));
      await stage.parked();
      await stage.decide({ action: 'skip' });
      await stage.settled();
    },
  },
  {
    name: 'acme-product-incident',
    flow: 'productIncident',
    play: async (stage) => {
      await stage.sendData(incident('shop'));
      await stage.settled();
    },
  },
  {
    name: 'acme-product-incident-in-part',
    flow: 'productIncident',
    play: async (stage) => {
      await stage.sendData(incident('fax'));
      await stage.parked();
      await stage.decide({ action: 'abort' });
      await stage.settled();
    },
  },
  {
    name: 'acme-support-volume',
    flow: 'supportVolume',
    play: async (stage) => {
      await stage.sendData(ticket(1, 'billing', 'normal'));
      await stage.sendData(ticket(2, 'login', 'high'));
      await stage.collected(2);
      await stage.sendData(ticket(3, 'login', 'urgent'));
      await stage.settled();
    },
  },
  {
    name: 'quorum-reached',
    flow: 'counts',
    play: async (stage) => {
      await stage.send(1);
      await stage.waiting(1);
      await stage.send(3);
      await stage.waiting(4);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'quorum-refused',
    flow: 'counts',
    play: async (stage) => {
      for (const n of [1, 5, 2, 6]) await stage.sendData({ n });
      await stage.settled();
    },
  },
  {
    name: 'quorum-timed-out',
    flow: 'countsInHaste',
    play: async (stage) => {
      await stage.send(2);
      await stage.settled();
    },
  },
  {
    name: 'continued-in-a-quorum',
    flow: 'counts',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await stage.waiting(1);
      await stage.sendData({ n: 2 });
      await stage.continued(async () => {
        for (let more = 0; more < 10; more += 1) {
          await stage.sendData({ n: 5 });
          await sleep(300);
        }
      });
      await stage.sendData({ n: 3 });
      await stage.settled();
    },
  },
  {
    name: 'fan-out-with-a-failed-branch',
    flow: 'tellsAll',
    failing: { pager: 'fatal' },
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'fan-out-with-a-parked-branch',
    flow: 'tellsAll',
    failing: { 'chat 2': 'persistent' },
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'fan-out-list',
    flow: 'reservesLines',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'fan-out-stopped',
    flow: 'reservesLines',
    failing: { 'line 2': 'fatal' },
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'saga-done',
    flow: 'fulfils',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'saga-compensated',
    flow: 'fulfils',
    failing: { ship: 'fatal' },
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'saga-with-a-parked-undo',
    flow: 'fulfils',
    failing: { charge: 'fatal', release: 'fatal' },
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'saga-cancelled',
    flow: 'fulfils',
    play: async (stage) => {
      await stage.send(1);
      // In the middle of the second step, which takes 400 ms like each.
      await sleep(700);
      await stage.cancel();
      await stage.settled();
    },
  },
  {
    name: 'aggregate-every',
    flow: 'everySecond',
    play: async (stage) => {
      await stage.send(3, 500);
      await stage.settled();
    },
  },
  {
    name: 'aggregate-gap',
    flow: 'sessions',
    play: async (stage) => {
      await stage.send(3, 400);
      await stage.settled();
    },
  },
  {
    name: 'aggregate-urgent',
    flow: 'sessions',
    play: async (stage) => {
      await stage.send(1);
      await stage.sendData({ n: 9 });
      await stage.settled();
    },
  },
  {
    name: 'aggregate-count',
    flow: 'threes',
    play: async (stage) => {
      await stage.send(4);
      await stage.waiting(4);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'aggregate-until',
    flow: 'untilSeven',
    play: async (stage) => {
      await stage.send(7);
      await stage.settled();
    },
  },
  {
    name: 'continued-in-an-aggregate',
    flow: 'untilSeven',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await stage.waiting(1);
      await stage.continued(async () => {
        for (let more = 0; more < 12; more += 1) {
          await stage.sendData({ n: 2 });
          await sleep(300);
        }
      });
      await stage.sendData({ n: 7 });
      await stage.settled();
    },
  },
  {
    name: 'wait-for',
    flow: 'answers',
    play: async (stage) => {
      await stage.send(1);
      await stage.waiting(1);
      // The second is left in the inbox: the next window begins with it.
      await stage.send(2);
      await stage.settled();
    },
  },
  {
    name: 'emit',
    flow: 'notes',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'park-asked',
    flow: 'asksOperators',
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await sleep(1_500);
      await stage.decide({ action: 'skip' });
      await stage.settled();
    },
  },
  {
    name: 'park-expired',
    flow: 'asksOperators',
    play: async (stage) => {
      await stage.send(1);
      await stage.parked('body');
      await stage.decide({ action: 'skip' });
      await stage.settled();
    },
  },
  {
    name: 'approval-approved',
    flow: 'asksApprovers',
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'approve', actor: 'ana' });
      await stage.decide({ action: 'approve', actor: 'bo' });
      await stage.settled();
    },
  },
  {
    name: 'approval-rejected',
    flow: 'asksApprovers',
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'reject', actor: 'ana' });
      await stage.settled();
    },
  },
  {
    name: 'approval-timed-out',
    flow: 'asksApprovers',
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.settled();
    },
  },
  {
    name: 'continued-in-an-approval',
    flow: 'asksPatiently',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'approve', actor: 'ana' });
      await stage.continued(() => stage.signal(30));
      await stage.decideNext({ action: 'reject', actor: 'bo' });
      await stage.settled();
    },
  },
  // Recorded when a run's first execution began with its deliveries and asked the journal nothing.
  {
    name: 'first-and-later',
    flow: 'immediate',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
      await stage.ended();
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'first-with-a-leading-edge',
    flow: 'leading',
    play: async (stage) => {
      await stage.send(4, 100);
      await stage.settled();
    },
  },
  {
    name: 'first-continued',
    flow: 'immediate',
    grows: true,
    play: async (stage) => {
      await stage.continued(() => stage.send(6));
      await stage.settled();
    },
  },
  {
    name: 'first-parked',
    flow: 'twoSteps',
    failures: ['persistent'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
];

/**
 * Each scenario as it was played first; and again those that are settled by what came last, since the
 * journal is told when the history has it (in-history.ts).
 */
export const scenarios: readonly Scenario[] = [
  ...played,
  again('debounce-flushed'),
  again('quorum-reached'),
  again('approval-approved'),
];

function again(name: string): Scenario {
  const scenario = played.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  return { ...scenario, name: `${name}-in-history` };
}

const order = (sku: string, address: string) => ({
  orderId: 'order-1',
  customerId: 'customer-1',
  lines: [{ sku, quantity: 1 }],
  total: 120,
  currency: 'EUR',
  address,
});

const incident = (product: string) => ({
  incidentId: 'incident-1',
  product,
  severity: 'sev1',
  title: 'nothing works',
});

const ticket = (number: number, team: string, priority: string) => ({
  ticketId: `ticket-${number}`,
  desk: 'emea',
  team,
  priority,
  title: 'help',
  customer: 'ada@example.com',
});
