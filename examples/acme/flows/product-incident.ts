import { fanOut, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { paging, slack, statusPage, tracker } from './connectors';

const flow = flowsFor<typeof events>();

export const productIncident = flow({
  on: 'incident.declared',
  owner: 'reliability',
  summary: 'Tell chat, paging, status page and issue tracker of an incident',
  runbook: 'https://wiki.acme.example/runbooks/product-incident',
  slo: { within: '1m', target: 0.99 },
  where: (event) => event.data.severity !== 'sev3',
  key: (event) => event.data.incidentId,
  async run({ data: { incidentId, product, severity, title } }) {
    const text = `${severity} ${product}: ${title}`;
    const told = await fanOut(
      {
        chat: () => slack.postMessage({ channel: '#incidents', text }),
        paging: () => paging.page({ team: product, text }),
        statusPage: () => statusPage.publish({ product, text: title }),
        tracker: () => tracker.openIssue({ project: product, reference: incidentId, title: text }),
      },
      { onFailure: 'collect' },
    );
    const missing = Object.entries(told.branches)
      .filter(([, branch]) => branch.status === 'failed')
      .map(([name]) => name);
    const who = missing.length === 0 ? 'all are told' : `not told: ${missing.join(', ')}`;
    await slack.postMessage({ channel: '#incidents', text: `${incidentId}: ${who}` });
    return { status: told.status, missing };
  },
});
