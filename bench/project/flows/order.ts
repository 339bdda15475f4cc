import type { httpConnector } from 'tidegate/connectors';
import { connector, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();
const http = connector<typeof httpConnector>('http');

/** One event, one run, one call: what bench/naive/orders.ts does by hand. */
export const order = flow({
  on: 'order.paid',
  key: (event) => event.data.order,
  run: async ({ data }) => {
    await http.post({ path: '/effects', json: { order: data.order } });
  },
});
