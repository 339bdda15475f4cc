import { flowsFor, saga } from 'tidegate/flow';
import type { events } from '../events';
import { billing, inventory, shipping, slack } from './connectors';

const flow = flowsFor<typeof events>();

export const orderFulfilment = flow({
  on: 'order.placed',
  owner: 'fulfilment',
  summary: 'Reserve, charge and ship an order, or undo all of it',
  runbook: 'https://wiki.acme.example/runbooks/order-fulfilment',
  slo: { within: '5m', target: 0.99 },
  key: (event) => event.data.orderId,
  async run({ data: { orderId, customerId, lines, total, currency, address } }) {
    const parcel = await saga(async (step) => {
      // Each undo goes by the order's id: whether the act got through may not be known.
      await step(
        'reserve',
        () => inventory.reserve({ orderId, lines }),
        () => inventory.release({ orderId }),
      );
      await step(
        'charge',
        () => billing.charge({ orderId, customerId, amount: total, currency }),
        () => billing.refund({ orderId }),
      );
      return await step(
        'ship',
        () => shipping.ship({ orderId, address }),
        () => shipping.cancel({ orderId }),
      );
    });
    await slack.postMessage({
      channel: '#orders',
      text: `Order ${orderId} is on its way: ${parcel.tracking}`,
    });
    return parcel;
  },
});
