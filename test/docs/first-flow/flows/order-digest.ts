import type { slackConnector } from 'tidegate/connectors';
import { connector, debounce, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();
const slack = connector<typeof slackConnector>('slack');

export const orderDigest = flow({
  on: 'order.status_changed',
  key: (event) => event.data.orderId,
  async run(_first, inbox) {
    const window = await debounce(inbox, { quiet: '10s', atMost: '1m' });
    const { orderId, status } = window.last.data;
    const text = `Order ${orderId} is ${status} (${window.count} changes)`;
    await slack.postMessage({ channel: '#orders', text });
  },
});
