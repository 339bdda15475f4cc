/** What our mappings read of a payload, held by the compiler against the types that the vendors publish. */
import assert from 'node:assert/strict';
import type {
  AppMentionEvent,
  BotMessageEvent,
  GenericMessageEvent,
  ReactionAddedEvent,
  ReactionRemovedEvent,
  ThreadBroadcastMessageEvent,
} from '@slack/types';
import { describe, it } from 'mocha';
import type Stripe from 'stripe';
import type { z } from 'zod';
import type * as slack from '../../../src/ingress/sources/slack-payloads.ts';
import type * as stripe from '../../../src/ingress/sources/stripe-payloads.ts';

/** Refused by the compiler when the vendor sends something that our schema does not take. */
type Taken<Ours, Theirs extends Ours> = Theirs;

/** The words by which Stripe calls what we map. */
const STRIPE_TYPES = [
  'invoice.paid',
  'invoice.payment_failed',
  'payment_intent.succeeded',
  'payment_intent.payment_failed',
  'charge.refunded',
  'charge.dispute.created',
  'charge.dispute.closed',
  'customer.subscription.created',
  'customer.subscription.updated',
  'customer.subscription.deleted',
  'checkout.session.completed',
] as const satisfies readonly Stripe.Event['type'][];

describe('The types of the vendors', () => {
  it('fit what the mappings read, as this file compiles', () => {
    type Checked = [
      Taken<z.input<typeof stripe.EventPayload>, Stripe.Event>,
      Taken<z.input<typeof stripe.InvoicePayload>, Stripe.Invoice>,
      Taken<z.input<typeof stripe.PaymentIntentPayload>, Stripe.PaymentIntent>,
      Taken<z.input<typeof stripe.ChargePayload>, Stripe.Charge>,
      Taken<z.input<typeof stripe.DisputePayload>, Stripe.Dispute>,
      Taken<z.input<typeof stripe.SubscriptionPayload>, Stripe.Subscription>,
      Taken<z.input<typeof stripe.CheckoutPayload>, Stripe.Checkout.Session>,
      Taken<z.input<typeof slack.MessageEvent>, GenericMessageEvent>,
      Taken<z.input<typeof slack.MessageEvent>, BotMessageEvent>,
      Taken<z.input<typeof slack.MessageEvent>, ThreadBroadcastMessageEvent>,
      Taken<z.input<typeof slack.MessageEvent>, AppMentionEvent>,
      Taken<z.input<typeof slack.ReactionEvent>, ReactionAddedEvent>,
      Taken<z.input<typeof slack.ReactionEvent>, ReactionRemovedEvent>,
    ];
    const count: Checked['length'] = 13;
    assert.equal(count, 13);
    assert.equal(new Set(STRIPE_TYPES).size, STRIPE_TYPES.length);
  });
});
