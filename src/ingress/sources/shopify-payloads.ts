/** The parts that we read of Shopify's payloads: https://shopify.dev/docs/api/webhooks */
import { z } from 'zod';
import { digits } from './vendor.ts';

/** What an id belongs to, where the payload says it: the topic, which also says it, is not signed. */
const globalId = (kind: string) =>
  z
    .string()
    .startsWith(`gid://shopify/${kind}/`, `must be of a ${kind}: the topic is not`)
    .nullish();

/** Text, never a number, which would lose the digits behind the point. */
const money = z.string().regex(/^-?\d{1,20}(\.\d{1,6})?$/);
const reference = digits.nullish();

export const OrderPayload = z.object({
  id: digits,
  admin_graphql_api_id: globalId('Order'),
  name: z.string(),
  email: z.string().nullish(),
  created_at: z.string(),
  updated_at: z.string().nullish(),
  cancelled_at: z.string().nullish(),
  cancel_reason: z.string().nullish(),
  currency: z.string(),
  total_price: money,
  current_total_price: money.nullish(),
  financial_status: z.string().nullish(),
  fulfillment_status: z.string().nullish(),
  customer: z.object({ id: digits }).nullish(),
  test: z.boolean().nullish(),
  fulfillments: z.array(z.object({ id: digits })).nullish(),
  line_items: z.array(
    z.object({
      id: digits,
      product_id: reference,
      variant_id: reference,
      sku: z.string().nullish(),
      title: z.string(),
      quantity: z.int(),
      price: money,
    }),
  ),
});

export const DeletedPayload = z.object({ id: digits });

export const ProductPayload = z.object({
  id: digits,
  admin_graphql_api_id: globalId('Product'),
  title: z.string(),
  handle: z.string().nullish(),
  status: z.string().nullish(),
  updated_at: z.string().nullish(),
  variants: z.array(z.object({ id: digits, sku: z.string().nullish(), price: money })),
});

export const CustomerPayload = z.object({
  id: digits,
  admin_graphql_api_id: globalId('Customer'),
  email: z.string().nullish(),
  state: z.string().nullish(),
  created_at: z.string().nullish(),
});
