import {
  decide,
  send,
  showLinks,
  showOutbox,
  showTrace,
  untilParked,
  untilSettled,
} from '../engine';
import { freshId, type Story } from '../story';
import { promise, title } from '../terminal';

const FLOWS = ['invoiceReceipt', 'invoiceLedger', 'invoiceDealUpdate'] as const;

export const invoicePaid: Story = {
  name: 'invoice-paid',
  summary:
    'one event, three flows, each with troubles of its own; one emits what a fourth takes (emit)',
  writesTo: ['billing', 'ledger', 'crm', 'slack'],
  async tell() {
    const invoiceId = freshId();
    const late = `${invoiceId}b`;

    title(`The invoice ${late} is paid`, ' so late that its books are closed');
    await pay(late, '2025-12');
    const lateLedger = `invoiceLedger:default:${late}`;
    title(`The run ${lateLedger}`);
    await untilParked(lateLedger);
    title(`The run invoiceReceipt:default:${late}`, ' does not wait for it');
    await untilSettled(`invoiceReceipt:default:${late}`);
    title('A person decides');
    await decide(lateLedger, { action: 'skip', reason: 'booked by hand in January' });
    await untilSettled(lateLedger);

    title(`The invoice ${invoiceId} is paid`, ' in time');
    const paid = await pay(invoiceId, '2026-11');
    const digest = `dealDigest:default:${invoiceId}-deal`;
    const left: string[] = [];
    const settle = async (run: string) => {
      title(`The run ${run}`);
      const settled = await untilSettled(run);
      left.push(...(await showOutbox(run)).map(({ operation }) => operation));
      return settled;
    };
    for (const flow of FLOWS) await settle(`${flow}:default:${invoiceId}`);
    const told = await settle(digest);

    title('The whole story', ', from the invoice to the deal digest');
    const causes = await showTrace(`${invoiceId}-paid`);
    title('Read on');
    showLinks(told, `${invoiceId}-paid`);
    promise('\n1 event → 3 runs, each with its own outcome → 1 event more → 1 message.', {
      'three flows took the event': FLOWS.every((flow) =>
        paid.runs.includes(`${flow}:default:${invoiceId}`),
      ),
      'each did its own, and the digest told of the deal':
        left.join(' ') === 'billing.sendReceipt ledger.post crm.addNote slack.postMessage',
      'both events are one story': causes.filter((what) => what === 'received').length === 2,
    });
  },
};

const pay = (invoiceId: string, period: string) =>
  send({
    type: 'invoice.paid',
    id: `${invoiceId}-paid`,
    label: `4,200 EUR, books of ${period}`,
    data: {
      invoiceId,
      period,
      amount: 4_200,
      currency: 'EUR',
      payer: 'bo@customer.example',
      dealId: `${invoiceId}-deal`,
    },
  });
