import type { slackConnector } from 'tidegate/connectors';
import { connector, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();
const slack = connector<typeof slackConnector>('slack');

export const hello = flow({
  on: 'user.created',
  run: ({ data }) => slack.postMessage({ channel: '#welcome', text: `Hello ${data.name}` }),
});
