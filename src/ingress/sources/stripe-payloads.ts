/** The parts that we read of Stripe's events: https://docs.stripe.com/api/events/types */
import { z } from 'zod';
import { idText } from './vendor.ts';

/** Another object: its id, or the object itself where it was expanded. */
const reference = z.union([z.string(), z.object({ id: z.string() })]).nullish();
const metadata = z.record(z.string(), z.string()).nullish();
const common = { id: idText, customer: reference } as const;
const money = { currency: z.string() } as const;

export const EventPayload = z.object({
  object: z.literal('event'),
  id: idText,
  type: z.string(),
  created: z.number(),
  livemode: z.boolean(),
  account: z.string().nullish(),
  data: z.object({ object: z.unknown() }),
  /** Null for what Stripe did by itself; before 2017 the id alone. */
  request: z.union([z.string(), z.object({ id: z.string().nullish() })]).nullish(),
});

export const InvoicePayload = z.object({
  ...common,
  ...money,
  number: z.string().nullish(),
  amount_due: z.int(),
  amount_paid: z.int(),
  attempt_count: z.int(),
  next_payment_attempt: z.number().nullish(),
  customer_email: z.string().nullish(),
  /** Until API version 2025-03-31. */
  subscription: reference,
  parent: z
    .object({ subscription_details: z.object({ subscription: reference }).nullish() })
    .nullish(),
});

export const PaymentIntentPayload = z.object({
  ...common,
  ...money,
  amount: z.int(),
  amount_received: z.int().nullish(),
  last_payment_error: z
    .object({ code: z.string().nullish(), decline_code: z.string().nullish() })
    .nullish(),
  metadata,
});

export const ChargePayload = z.object({
  ...common,
  ...money,
  amount: z.int(),
  amount_refunded: z.int(),
  payment_intent: reference,
});

export const DisputePayload = z.object({
  id: idText,
  ...money,
  amount: z.int(),
  charge: reference,
  payment_intent: reference,
  reason: z.string(),
  status: z.string(),
});

export const SubscriptionPayload = z.object({
  ...common,
  status: z.string(),
  cancel_at_period_end: z.boolean(),
  cancellation_details: z.object({ reason: z.string().nullish() }).nullish(),
  items: z.object({ data: z.array(z.object({ price: z.object({ id: z.string() }) })) }),
  metadata,
});

export const CheckoutPayload = z.object({
  ...common,
  mode: z.string(),
  payment_status: z.string(),
  amount_total: z.int().nullish(),
  currency: z.string().nullish(),
  client_reference_id: z.string().nullish(),
  payment_intent: reference,
  subscription: reference,
  metadata,
});

/** The id of what a payload refers to. */
export const idOf = (value: z.output<typeof reference>): string | undefined =>
  typeof value === 'string' ? value : value?.id;
