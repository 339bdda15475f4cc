import { isDeepStrictEqual } from 'node:util';
import { decide, send, showLinks, showOutbox, untilParked, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { promise, title } from '../terminal';

export const orderFulfilment: Story = {
  name: 'order-fulfilment',
  summary: 'an order is reserved, charged and shipped, or all of it is undone (saga)',
  writesTo: ['inventory', 'billing', 'shipping', 'slack'],
  async tell() {
    const orderId = freshId();
    const lost = `${orderId}b`;
    const runOf = (order: string) => `orderFulfilment:default:${order}`;

    title(`The order ${orderId}`, ' goes to Oslo');
    await place(orderId, 'Karl Johans gate 1, Oslo');
    const again = await place(orderId, 'Karl Johans gate 1, Oslo');
    title(`The run ${runOf(orderId)}`);
    await untilSettled(runOf(orderId));
    title('What left');
    const left = await showOutbox(runOf(orderId));

    title(`The order ${lost}`, ' goes where no carrier does');
    await place(lost, 'nowhere');
    title(`The run ${runOf(lost)}`);
    await untilParked(runOf(lost));
    title('What left: all of it is undone, newest first');
    const undone = await showOutbox(runOf(lost));

    title('A person decides');
    await decide(runOf(lost), { action: 'skip', reason: 'the customer was told by phone' });
    const settled = await untilSettled(runOf(lost));

    title('Read on');
    showLinks(settled, `${lost}-placed`);
    const operations = (sendings: typeof left) => sendings.map(({ operation }) => operation);
    promise('\n1 order shipped, charged once; 1 order undone to the last cent.', {
      'the repeated order is a duplicate': again.status === 'duplicate',
      'the first order was reserved, charged, shipped and told': isDeepStrictEqual(
        operations(left),
        ['inventory.reserve', 'billing.charge', 'shipping.ship', 'slack.postMessage'],
      ),
      'the second was undone, newest first': isDeepStrictEqual(operations(undone), [
        'inventory.reserve',
        'billing.charge',
        'shipping.cancel',
        'billing.refund',
        'inventory.release',
      ]),
      'the second was skipped by the operator': settled.settlements.at(-1)?.outcome === 'skipped',
    });
  },
};

const place = (orderId: string, address: string) =>
  send({
    type: 'order.placed',
    id: `${orderId}-placed`,
    label: `2 lamps to ${address.split(', ').at(-1)}`,
    data: {
      orderId,
      customerId: 'C-9',
      lines: [{ sku: 'lamp', quantity: 2 }],
      total: 118,
      currency: 'EUR',
      address,
    },
  });
