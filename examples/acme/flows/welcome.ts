import { flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { slack } from './connectors';

const flow = flowsFor<typeof events>();

export const welcome = flow({
  on: 'user.created',
  run: async ({ data }) => {
    await slack.postMessage({ channel: '#welcome', text: `Hello ${data.name}` });
  },
});
