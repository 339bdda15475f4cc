import { debounce, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { slack } from './connectors';

const flow = flowsFor<typeof events>();

export const leadEdits = flow({
  on: 'lead.edited',
  owner: 'sales',
  summary: 'One notice for a round of edits to a lead',
  runbook: 'https://wiki.acme.example/runbooks/lead-edits',
  // The CRM keeps this field itself; it is nobody's edit.
  where: (event) => event.data.field !== 'lastViewedAt',
  key: (event) => event.data.leadId,
  async run(first, inbox) {
    const window = await debounce(inbox, { quiet: '30s', atMost: '90s' });
    // A field that was edited twice is told once, with its last value.
    const latest = new Map(window.events.map(({ data }) => [data.field, data.to]));
    const fields = [...latest].map(([field, to]) => `${field} is now ${to}`).join(', ');
    await slack.postMessage({
      channel: '#leads',
      text: `Lead ${first.data.leadId} (${window.count} edits): ${fields}`,
    });
  },
});
