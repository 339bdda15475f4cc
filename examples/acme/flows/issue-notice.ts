import { flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { slack } from './connectors';

const flow = flowsFor<typeof events>();

export const issueNotice = flow({
  on: 'issue.opened',
  summary: 'Tell the product team of a new issue',
  key: (event) => event.subject ?? event.id,
  run: async ({ data }) => {
    await slack.postMessage({ channel: '#product', text: `${data.repository}: ${data.title}` });
  },
});
