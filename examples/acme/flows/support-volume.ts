import { aggregate, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { paging, slack } from './connectors';

const flow = flowsFor<typeof events>();

export const supportVolume = flow({
  on: 'ticket.created',
  owner: 'support',
  summary: 'Tickets of an hour by team, and at once when one is urgent',
  runbook: 'https://wiki.acme.example/runbooks/support-volume',
  key: (event) => event.data.desk,
  async run({ data: { desk } }, inbox) {
    const hour = await aggregate(inbox, {
      every: '1h',
      groupBy: (event) => event.data.team,
      status: (event) => event.data.priority,
      urgent: (event) => event.data.priority === 'urgent',
    });
    for (const { data } of hour.criticals) {
      await paging.page({ team: data.team, text: `${data.ticketId}: ${data.title}` });
    }
    const teams = Object.entries(hour.groups).map(([team, { count }]) => `${team} ${count}`);
    await slack.postMessage({
      channel: '#support',
      text: `${desk}: ${hour.count} tickets, ${teams.join(', ')} (closed by ${hour.closedBy})`,
    });
  },
});
