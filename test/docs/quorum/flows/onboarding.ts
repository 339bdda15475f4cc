import type { slackConnector } from 'tidegate/connectors';
import { connector, flowsFor, quorum } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();
const slack = connector<typeof slackConnector>('slack');

export const onboarding = flow({
  on: ['customer.signed', 'check.finished'],
  key: (event) => event.data.customerId,
  async run(first, inbox) {
    // A check that comes when no quorum is open: too late, there is nothing to decide any more.
    if (first.type !== 'customer.signed') return 'no onboarding is open';

    const checks = await quorum(inbox, {
      need: 3,
      of: ['identity', 'crm', 'legal'],
      optional: ['referral'],
      mustInclude: ['legal'],
      voter: (event) => (event.type === 'check.finished' ? event.data.check : ''),
      vote: (event) => {
        if (event.type !== 'check.finished') return 'ignore';
        return event.data.passed ? 'yes' : 'no';
      },
      within: '3d',
    });

    const text = {
      reached: `${first.data.name} is a customer`,
      refused: `${first.data.name} is refused`,
      impossible: `Legal says no to ${first.data.name}`,
      timedOut: `${first.data.name} still lacks ${checks.pending.join(', ')}`,
    }[checks.status];
    await slack.postMessage({ channel: '#onboarding', text });
    return checks.status;
  },
});
