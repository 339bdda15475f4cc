import { flowsFor, quorum } from 'tidegate/flow';
import type { events } from '../events';
import { billing, crm, slack } from './connectors';

const flow = flowsFor<typeof events>();
const REQUIRED = ['identity', 'crm', 'legal'];

export const customerOnboarding = flow({
  on: ['customer.signed', 'check.finished'],
  owner: 'customer-success',
  summary: 'Activate a customer once identity, CRM record and legal are approved',
  runbook: 'https://wiki.acme.example/runbooks/customer-onboarding',
  key: (event) => event.data.customerId,
  async run({ data: { customerId } }, inbox) {
    const { company, status } = await crm.getCustomer({ id: customerId });
    // A check that finishes after the decision opens one more window: nothing is left to decide.
    if (status !== 'signed') return { status };

    const checks = await quorum(inbox, {
      need: REQUIRED.length,
      of: REQUIRED,
      mustInclude: REQUIRED,
      // A referral counts when it comes in time. Nobody waits for it.
      optional: ['referral'],
      voter: (event) => (event.type === 'check.finished' ? event.data.check : ''),
      vote: (event) => {
        if (event.type !== 'check.finished') return 'ignore';
        return event.data.passed ? 'yes' : 'no';
      },
      within: '5d',
    });

    const passed = checks.votes.filter(({ vote }) => vote === 'yes').map(({ voter }) => voter);
    if (checks.status === 'timedOut') {
      const text = `${company} waits for ${checks.pending.join(', ')}`;
      await slack.postMessage({ channel: '#customers', text });
      return { status: 'timedOut', passed };
    }
    const decided = checks.status === 'reached' ? 'active' : 'declined';
    await crm.setCustomerStatus({ id: customerId, status: decided });
    if (decided === 'active' && passed.includes('referral')) {
      await billing.creditReferral({ customerId });
    }
    await slack.postMessage({ channel: '#customers', text: `${company} is ${decided}` });
    return { status: decided, passed };
  },
});
