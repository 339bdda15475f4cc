import { emitFor, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { billing, crm, ledger } from './connectors';

const flow = flowsFor<typeof events>();
const emit = emitFor<typeof events>();

// One event, three runs: each has its own retries, its own park and its own outcome.

export const invoiceReceipt = flow({
  on: 'invoice.paid',
  owner: 'billing',
  summary: 'Send the receipt of a paid invoice',
  runbook: 'https://wiki.acme.example/runbooks/invoice-receipt',
  key: (event) => event.data.invoiceId,
  run: ({ data: { invoiceId, payer } }) => billing.sendReceipt({ invoiceId, to: payer }),
});

export const invoiceLedger = flow({
  on: 'invoice.paid',
  owner: 'accounting',
  summary: 'Book a paid invoice',
  runbook: 'https://wiki.acme.example/runbooks/invoice-ledger',
  key: (event) => event.data.invoiceId,
  run: ({ data: { invoiceId, period, amount, currency } }) =>
    ledger.post({ invoiceId, period, amount, currency }),
});

export const invoiceDealUpdate = flow({
  on: 'invoice.paid',
  owner: 'revops',
  summary: 'Note on the deal that it is paid, and say so to the flows of deals',
  runbook: 'https://wiki.acme.example/runbooks/invoice-deal-update',
  where: (event) => event.data.dealId !== undefined,
  key: (event) => event.data.invoiceId,
  async run({ data: { invoiceId, dealId, amount, currency } }) {
    if (dealId === undefined) return;
    await crm.addNote({ dealId, text: `Invoice ${invoiceId} is paid: ${amount} ${currency}` });
    // Goes through the front door like any other event: the deal digest takes it from there.
    await emit('deal.stage_changed', { dealId, stage: 'paid', amount, currency });
  },
});
