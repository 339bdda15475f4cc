import { send, showLinks, showOutbox, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { promise, title } from '../terminal';

export const customerOnboarding: Story = {
  name: 'customer-onboarding',
  summary: 'three checks must pass, a fourth may; one refusal ends it at once (quorum)',
  writesTo: ['slack', 'crm', 'billing'],
  async tell() {
    const customerId = freshId();
    const other = `${customerId}b`;
    const runOf = (customer: string) => `customerOnboarding:default:${customer}`;

    title(`The customer ${customerId} signs`, ' while the first check is through already');
    await finish(customerId, 'identity', true);
    await sign(customerId);
    for (const check of ['crm', 'referral', 'legal']) await finish(customerId, check, true);
    const again = await finish(customerId, 'legal', true);
    title(`The run ${runOf(customerId)}`);
    const accepted = await untilSettled(runOf(customerId));
    title('What left');
    const left = await showOutbox(runOf(customerId));

    title(`The customer ${other} signs`, ', and legal refuses');
    await sign(other);
    await finish(other, 'referral', true);
    await finish(other, 'legal', false);
    title(`The run ${runOf(other)}`);
    const declined = await untilSettled(runOf(other));
    title('What left');
    const leftOfOther = await showOutbox(runOf(other));

    title('Read on');
    showLinks(accepted, `${customerId}-signed`);
    promise(
      '\n3 required checks → active, with a referral; 1 refusal → declined, nobody awaited.',
      {
        'the repeated check is a duplicate': again.status === 'duplicate',
        'the quorum ended with the last required check':
          accepted.settlements.at(-1)?.window?.closedBy === 'need',
        'status, credit and message left': left.length === 3,
        'the refusal ended the other at once':
          declined.settlements.at(-1)?.window?.closedBy === 'mustInclude',
        'status and message left': leftOfOther.length === 2,
      },
    );
  },
};

const sign = (customerId: string) =>
  send({
    type: 'customer.signed',
    id: `${customerId}-signed`,
    label: 'the plan business',
    data: { customerId, plan: 'business', contact: 'bo@customer.example' },
  });

const finish = (customerId: string, check: string, passed: boolean) =>
  send({
    type: 'check.finished',
    id: `${customerId}-${check}`,
    label: `${check} ${passed ? 'passed' : 'failed'}`,
    data: { customerId, check, passed },
  });
