import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { isRecord } from '../json.ts';
import type { Mapped, Source, SourceEvent } from '../source.ts';
import { stripeSignature } from '../verifiers/timed-hmac.ts';
import { eventTime } from './event-time.ts';
import type { stripeEvents } from './stripe-events.ts';
import {
  ChargePayload,
  CheckoutPayload,
  DisputePayload,
  EventPayload,
  InvoicePayload,
  idOf,
  PaymentIntentPayload,
  SubscriptionPayload,
} from './stripe-payloads.ts';
import { by, factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';

/**
 * Stripe's webhooks with snapshot events, in old and new API versions. Set TIDEGATE_SOURCE_STRIPE_SECRET to
 * the endpoint's `whsec_…`.
 *
 * An event's id is Stripe's `evt_…`, which is signed and the same in every retry. `causationid` is the API
 * request that caused it, by which people find it in Stripe's logs.
 *
 * @example
 * ```ts
 * export const sources = [stripeSource()];
 * ```
 */
export const stripeSource = (options: VendorOptions = {}): Source =>
  vendorSource(
    { name: 'stripe', verify: stripeSignature(), toEvents: ({ payload }) => toEvents(payload) },
    options,
  );

type Event = z.output<typeof EventPayload>;
const fact = factsOf<typeof stripeEvents>();

function toEvents(payload: Json): Mapped {
  // A thin event, `v2.core.event`, has no object: what happened must be read from Stripe.
  const isThin =
    isRecord(payload) && typeof payload.object === 'string' && payload.object.startsWith('v2.');
  if (isThin) return notMapped('stripe', payload.object);
  const event = EventPayload.parse(payload);
  const mapped = toEvent(event, event.data.object);
  return mapped === undefined
    ? notMapped('stripe', event.type)
    : [{ ...mapped, ...envelope(event) }];
}

function envelope({ id, created, request }: Event) {
  const requestId = typeof request === 'string' ? request : request?.id;
  const cause = by(requestId).actor;
  return { id, ...when(created), ...(cause === undefined ? {} : { causationid: cause }) };
}

function toEvent(event: Event, object: unknown): SourceEvent | undefined {
  switch (event.type) {
    case 'invoice.paid': {
      const invoice = InvoicePayload.parse(object);
      const data = { ...invoiceData(event, invoice), amountMinor: invoice.amount_paid };
      return fact('invoice.paid', { subject: invoice.id, data });
    }
    case 'invoice.payment_failed': {
      const invoice = InvoicePayload.parse(object);
      const data = {
        ...invoiceData(event, invoice),
        amountMinor: invoice.amount_due,
        attemptCount: invoice.attempt_count,
        nextAttemptAt: eventTime(invoice.next_payment_attempt),
      };
      return fact('invoice.payment_failed', { subject: invoice.id, data });
    }
    case 'payment_intent.succeeded': {
      const payment = PaymentIntentPayload.parse(object);
      const amountMinor = payment.amount_received ?? payment.amount;
      const data = { ...paymentData(event, payment), amountMinor };
      return fact('payment.succeeded', { subject: payment.id, data });
    }
    case 'payment_intent.payment_failed': {
      const payment = PaymentIntentPayload.parse(object);
      const data = {
        ...paymentData(event, payment),
        errorCode: known(payment.last_payment_error?.code),
        declineCode: known(payment.last_payment_error?.decline_code),
      };
      return fact('payment.failed', { subject: payment.id, data });
    }
    case 'charge.refunded':
      return fromRefund(event, ChargePayload.parse(object));
    case 'charge.dispute.created':
      return fromDispute('dispute.opened', event, DisputePayload.parse(object));
    case 'charge.dispute.closed':
      return fromDispute('dispute.closed', event, DisputePayload.parse(object));
    case 'customer.subscription.created':
    case 'customer.subscription.updated': {
      const subscription = SubscriptionPayload.parse(object);
      const type =
        event.type === 'customer.subscription.created'
          ? 'subscription.created'
          : 'subscription.updated';
      const data = subscriptionData(event, subscription);
      return fact(type, { subject: subscription.id, data });
    }
    case 'customer.subscription.deleted': {
      const subscription = SubscriptionPayload.parse(object);
      const cancellationReason = known(subscription.cancellation_details?.reason);
      const data = { ...subscriptionData(event, subscription), cancellationReason };
      return fact('subscription.cancelled', { subject: subscription.id, data });
    }
    case 'checkout.session.completed':
      return fromCheckout(event, CheckoutPayload.parse(object));
    default:
      return undefined;
  }
}

const common = ({ livemode, account }: Event) => ({ isLive: livemode, account: known(account) });

const invoiceData = (event: Event, invoice: z.output<typeof InvoicePayload>) => ({
  ...common(event),
  invoiceId: invoice.id,
  number: known(invoice.number),
  customerId: idOf(invoice.customer),
  subscriptionId:
    idOf(invoice.parent?.subscription_details?.subscription) ?? idOf(invoice.subscription),
  customerEmail: known(invoice.customer_email),
  currency: invoice.currency,
});

const paymentData = (event: Event, payment: z.output<typeof PaymentIntentPayload>) => ({
  ...common(event),
  paymentId: payment.id,
  customerId: idOf(payment.customer),
  amountMinor: payment.amount,
  currency: payment.currency,
  metadata: payment.metadata ?? {},
});

const subscriptionData = (event: Event, subscription: z.output<typeof SubscriptionPayload>) => ({
  ...common(event),
  subscriptionId: subscription.id,
  customerId: idOf(subscription.customer),
  status: subscription.status,
  priceIds: subscription.items.data.map(({ price }) => price.id),
  endsAtPeriodEnd: subscription.cancel_at_period_end,
  metadata: subscription.metadata ?? {},
});

const fromRefund = (event: Event, charge: z.output<typeof ChargePayload>): SourceEvent =>
  fact('payment.refunded', {
    subject: charge.id,
    data: {
      ...common(event),
      chargeId: charge.id,
      paymentId: idOf(charge.payment_intent),
      customerId: idOf(charge.customer),
      amountMinor: charge.amount,
      refundedMinor: charge.amount_refunded,
      currency: charge.currency,
    },
  });

function fromDispute(
  type: 'dispute.opened' | 'dispute.closed',
  event: Event,
  dispute: z.output<typeof DisputePayload>,
): SourceEvent {
  const chargeId = idOf(dispute.charge);
  if (chargeId === undefined) throw new Error('the dispute names no charge');
  const data = {
    ...common(event),
    disputeId: dispute.id,
    chargeId,
    paymentId: idOf(dispute.payment_intent),
    amountMinor: dispute.amount,
    currency: dispute.currency,
    reason: dispute.reason,
    status: dispute.status,
  };
  return fact(type, { subject: dispute.id, data });
}

const fromCheckout = (event: Event, checkout: z.output<typeof CheckoutPayload>): SourceEvent =>
  fact('checkout.completed', {
    subject: checkout.id,
    data: {
      ...common(event),
      checkoutId: checkout.id,
      customerId: idOf(checkout.customer),
      mode: checkout.mode,
      paymentStatus: checkout.payment_status,
      amountMinor: known(checkout.amount_total),
      currency: known(checkout.currency),
      clientReference: known(checkout.client_reference_id),
      paymentId: idOf(checkout.payment_intent),
      subscriptionId: idOf(checkout.subscription),
      metadata: checkout.metadata ?? {},
    },
  });
