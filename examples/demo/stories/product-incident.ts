import { isDeepStrictEqual } from 'node:util';
import { decide, send, showLinks, showOutbox, untilParked, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { promise, say, title } from '../terminal';

export const productIncident: Story = {
  name: 'product-incident',
  summary: 'four systems are told beside each other, one of them cannot be (fanOut, park)',
  writesTo: ['slack', 'paging', 'statusPage', 'tracker'],
  async tell() {
    const incidentId = freshId();
    const run = `productIncident:default:${incidentId}`;
    title('The product fax is down', ', and its project in the issue tracker is archived');
    await send({
      type: 'incident.declared',
      id: `${incidentId}-declared`,
      label: 'sev1: faxes do not arrive',
      data: { incidentId, product: 'fax', severity: 'sev1', title: 'Faxes do not arrive' },
    });

    title(`The run ${run}`);
    const parked = await untilParked(run);
    title('What has left meanwhile');
    const before = await showOutbox(run, 3);

    title('A person decides');
    say(`  ${parked.park?.step} says: ${parked.park?.reason}`);
    await decide(run, { action: 'abort', reason: 'the archive stays closed, we track it by hand' });
    const settled = await untilSettled(run);
    const result = settled.settlements.at(-1)?.result;

    title('What left');
    const left = await showOutbox(run);
    title('Read on');
    say(`  The result  ${JSON.stringify(result)}`);
    showLinks(settled, `${incidentId}-declared`);
    promise('\n3 of 4 told at once, the fourth named: partial success.', {
      'three were told while the fourth waited': before.length === 3,
      'one message more says who was not told': left.length === 4,
      'the result is partial': isDeepStrictEqual(result, {
        status: 'partial',
        missing: ['tracker'],
      }),
    });
  },
};
