import type { z } from 'zod';
import { sha256 } from '../refusal.ts';
import type { Mapped, Source, SourceDelivery, SourceEvent } from '../source.ts';
import { shopifySignature } from '../verifiers/body-hmac.ts';
import { eventTime } from './event-time.ts';
import type { shopifyEvents } from './shopify-events.ts';
import {
  CustomerPayload,
  DeletedPayload,
  OrderPayload,
  ProductPayload,
} from './shopify-payloads.ts';
import { by, factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';

/**
 * Shopify's webhooks of orders, products and customers. Set TIDEGATE_SOURCE_SHOPIFY_SECRET to the app's client
 * secret.
 *
 * Shopify signs the body and no header. The topic decides what happened all the same, so an event's id is made
 * of what the body says of it (the order, and what it was paid, cancelled or fulfilled with): a body that is
 * sent again under another topic is a duplicate, or contradicts itself and is kept as a dead letter. The
 * shop is a header too and is not read. `causationid` is Shopify's webhook id, for people.
 *
 * @example
 * ```ts
 * export const sources = [shopifySource()];
 * ```
 */
export const shopifySource = (options: VendorOptions = {}): Source =>
  vendorSource(
    { name: 'shopify', verify: shopifySignature(), acknowledge: 200, toEvents },
    options,
  );

type Order = z.output<typeof OrderPayload>;
const fact = factsOf<typeof shopifyEvents>();

function toEvents(delivery: SourceDelivery): Mapped {
  const topic = header(delivery, 'topic');
  if (topic === undefined) throw new Error('the header X-Shopify-Topic is missing');
  const event = toEvent(topic, delivery);
  if (event === undefined) return notMapped('shopify', topic);
  const cause = by(header(delivery, 'webhook-id')).actor;
  return [cause === undefined ? event : { ...event, causationid: cause }];
}

/** Newer deliveries have the same headers without `X-`. */
function header({ headers }: SourceDelivery, name: string): string | undefined {
  const value = headers[`x-shopify-${name}`] ?? headers[`shopify-${name}`];
  return typeof value === 'string' ? value : undefined;
}

function toEvent(topic: string, { payload, bodyHash }: SourceDelivery): SourceEvent | undefined {
  switch (topic) {
    case 'orders/create':
      return fromCreated(OrderPayload.parse(payload));
    case 'orders/paid':
      return fromPaid(OrderPayload.parse(payload));
    case 'orders/cancelled':
      return fromCancelled(OrderPayload.parse(payload));
    case 'orders/fulfilled':
      return fromFulfilled(OrderPayload.parse(payload), bodyHash);
    case 'orders/delete': {
      const { id } = DeletedPayload.parse(payload);
      return fact('order.deleted', { id: `deleted:${id}`, subject: id, data: { orderId: id } });
    }
    case 'products/update':
      return fromProduct(ProductPayload.parse(payload));
    case 'customers/create':
      return fromCustomer(CustomerPayload.parse(payload));
    default:
      return undefined;
  }
}

const fromCreated = (order: Order): SourceEvent =>
  fact('order.created', {
    id: `created:${order.id}`,
    subject: order.id,
    ...when(order.created_at),
    data: orderData(order),
  });

const SAYS_PAID: ReadonlySet<unknown> = new Set(['paid', 'partially_refunded', 'refunded']);

/** An order that was edited can be paid once more, to another total. */
function fromPaid(order: Order): SourceEvent {
  if (!SAYS_PAID.has(order.financial_status)) throw contradiction('orders/paid', 'not paid');
  return fact('order.paid', {
    id: `paid:${order.id}:${order.current_total_price ?? order.total_price}`,
    subject: order.id,
    ...when(order.updated_at),
    data: orderData(order),
  });
}

function fromCancelled(order: Order): SourceEvent {
  const cancelledAt = eventTime(order.cancelled_at);
  if (cancelledAt === undefined) throw contradiction('orders/cancelled', 'not cancelled');
  return fact('order.cancelled', {
    id: `cancelled:${order.id}:${cancelledAt}`,
    subject: order.id,
    time: cancelledAt,
    data: { ...orderData(order), cancelledAt, cancelReason: known(order.cancel_reason) },
  });
}

/** An order can be fulfilled again when lines were added to it, by other fulfilments. */
function fromFulfilled(order: Order, bodyHash: string): SourceEvent {
  if (order.fulfillment_status !== 'fulfilled') {
    throw contradiction('orders/fulfilled', 'not fulfilled');
  }
  const ids = (order.fulfillments ?? []).map(({ id }) => id).sort();
  return fact('order.fulfilled', {
    id: `fulfilled:${order.id}:${ids.length === 0 ? bodyHash : sha256(ids.join())}`,
    subject: order.id,
    ...when(order.updated_at),
    data: orderData(order),
  });
}

const contradiction = (topic: string, what: string): Error =>
  new Error(
    `the topic is ${topic}, which is not signed, and the signed body says that it is ${what}`,
  );

const orderData = (order: Order) => ({
  orderId: order.id,
  name: order.name,
  totalPrice: order.total_price,
  currency: order.currency,
  financialStatus: known(order.financial_status),
  fulfillmentStatus: known(order.fulfillment_status),
  customerId: order.customer?.id,
  email: known(order.email),
  isTest: order.test === true,
  lines: order.line_items.map((line) => ({
    lineId: line.id,
    productId: known(line.product_id),
    variantId: known(line.variant_id),
    sku: known(line.sku),
    title: line.title,
    quantity: line.quantity,
    price: line.price,
  })),
});

/** Known by the hash of its body, which a retry repeats: two updates can have the same second. */
const fromProduct = (product: z.output<typeof ProductPayload>): SourceEvent =>
  fact('product.updated', {
    subject: product.id,
    ...when(product.updated_at),
    data: {
      productId: product.id,
      title: product.title,
      handle: known(product.handle),
      status: known(product.status),
      variants: product.variants.map(({ id, sku, price }) => ({
        variantId: id,
        sku: known(sku),
        price,
      })),
    },
  });

const fromCustomer = (customer: z.output<typeof CustomerPayload>): SourceEvent =>
  fact('customer.created', {
    id: `customer:${customer.id}`,
    subject: customer.id,
    ...when(customer.created_at),
    data: { customerId: customer.id, email: known(customer.email), state: known(customer.state) },
  });
