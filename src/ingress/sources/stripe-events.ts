import { z } from 'zod';

/** Stripe counts money in the currency's smallest unit: 1099 is 10.99 EUR, and 1099 JPY. */
const money = { amountMinor: z.int(), currency: z.string() } as const;

const common = {
  /** False for Stripe's test mode. */
  isLive: z.boolean(),
  /** The connected account, of Connect. */
  account: z.string().optional(),
  customerId: z.string().optional(),
} as const;

const invoice = z.object({
  ...common,
  ...money,
  invoiceId: z.string(),
  /** What people know the invoice by, such as `A-0012`. */
  number: z.string().optional(),
  subscriptionId: z.string().optional(),
  customerEmail: z.string().meta({ pii: true }).optional(),
});

const payment = z.object({
  ...common,
  ...money,
  paymentId: z.string(),
  /** What your side wrote on it, such as an order's id. */
  metadata: z.record(z.string(), z.string()),
});

const subscription = z.object({
  ...common,
  subscriptionId: z.string(),
  /** Such as `active`, `past_due`, `canceled`. */
  status: z.string(),
  priceIds: z.array(z.string()),
  endsAtPeriodEnd: z.boolean(),
  metadata: z.record(z.string(), z.string()),
});

const dispute = z.object({
  ...common,
  ...money,
  disputeId: z.string(),
  chargeId: z.string(),
  paymentId: z.string().optional(),
  reason: z.string(),
  status: z.string(),
});

/** What the Stripe source says happened: `defineEvents({ ...stripeEvents, … })`. The subject is Stripe's id. */
export const stripeEvents = {
  'invoice.paid': invoice,
  'invoice.payment_failed': invoice.extend({
    attemptCount: z.int(),
    /** When Stripe tries again, RFC 3339; absent when it does not. */
    nextAttemptAt: z.string().optional(),
  }),
  'payment.succeeded': payment,
  'payment.failed': payment.extend({
    /** Such as `card_declined`. */
    errorCode: z.string().optional(),
    declineCode: z.string().optional(),
  }),
  'payment.refunded': z.object({
    ...common,
    ...money,
    chargeId: z.string(),
    paymentId: z.string().optional(),
    /** All that has been refunded of it until now. */
    refundedMinor: z.int(),
  }),
  'dispute.opened': dispute,
  'dispute.closed': dispute,
  'subscription.created': subscription,
  'subscription.updated': subscription,
  'subscription.cancelled': subscription.extend({ cancellationReason: z.string().optional() }),
  'checkout.completed': z.object({
    ...common,
    checkoutId: z.string(),
    /** `payment`, `subscription` or `setup`. */
    mode: z.string(),
    /** `unpaid` where the money comes later. */
    paymentStatus: z.string(),
    amountMinor: z.int().optional(),
    currency: z.string().optional(),
    /** What your side called it. */
    clientReference: z.string().optional(),
    paymentId: z.string().optional(),
    subscriptionId: z.string().optional(),
    metadata: z.record(z.string(), z.string()),
  }),
} as const;
