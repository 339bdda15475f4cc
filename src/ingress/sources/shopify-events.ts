import { z } from 'zod';

/** Ids are the digits of Shopify's ids as text: some have 18 digits, which no number holds. */
const order = z.object({
  orderId: z.string(),
  /** What people know the order by, such as `#1001`. */
  name: z.string(),
  /** Money is text as Shopify writes it, such as `403.00`: add it up as decimals. */
  totalPrice: z.string(),
  currency: z.string(),
  /** Such as `pending`, `paid`, `refunded`. */
  financialStatus: z.string().optional(),
  /** `fulfilled`, `partial` or, before anything is sent, absent. */
  fulfillmentStatus: z.string().optional(),
  customerId: z.string().optional(),
  email: z.string().meta({ pii: true }).optional(),
  isTest: z.boolean(),
  lines: z.array(
    z.object({
      lineId: z.string(),
      productId: z.string().optional(),
      variantId: z.string().optional(),
      sku: z.string().optional(),
      title: z.string(),
      quantity: z.int(),
      /** Of one, before discounts. */
      price: z.string(),
    }),
  ),
});

/**
 * What the Shopify source says happened: `defineEvents({ ...shopifyEvents, … })`. The subject is the id of the
 * order, product or customer.
 */
export const shopifyEvents = {
  'order.created': order,
  'order.paid': order,
  'order.cancelled': order.extend({
    cancelledAt: z.string(),
    /** Such as `customer`, `fraud`, `inventory`. */
    cancelReason: z.string().optional(),
  }),
  'order.fulfilled': order,
  'order.deleted': z.object({ orderId: z.string() }),
  'product.updated': z.object({
    productId: z.string(),
    title: z.string(),
    handle: z.string().optional(),
    /** `active`, `draft` or `archived`. */
    status: z.string().optional(),
    variants: z.array(
      z.object({ variantId: z.string(), sku: z.string().optional(), price: z.string() }),
    ),
  }),
  'customer.created': z.object({
    customerId: z.string(),
    email: z.string().meta({ pii: true }).optional(),
    /** Such as `enabled`, `disabled`, `invited`. */
    state: z.string().optional(),
  }),
} as const;
