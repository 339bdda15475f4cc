import { defineEvents } from 'tidegate/contracts';
import { githubEvents } from 'tidegate/ingress';
import { z } from 'zod';

/** What can happen at Acme. */
export const events = defineEvents({
  ...githubEvents,
  'user.created': z.object({
    userId: z.string(),
    name: z.string(),
    email: z.email().meta({ pii: true }),
  }),
  'deal.stage_changed': {
    version: 2,
    data: z.object({
      dealId: z.string(),
      stage: z.string(),
      amount: z.number(),
      currency: z.string(),
    }),
    subject: (data) => data.dealId,
    // Version 1 had no currency: every deal was in euros.
    upcast: { 1: (old) => ({ ...old, currency: 'EUR' }) },
  },
  // Known, and of no interest to any flow yet.
  'deal.viewed': z.object({ dealId: z.string(), viewer: z.string() }),
  'lead.edited': {
    version: 1,
    data: z.object({
      leadId: z.string(),
      field: z.string(),
      to: z.string(),
      editor: z.string().meta({ pii: true }),
    }),
    subject: (data) => data.leadId,
  },
  'ticket.created': {
    version: 1,
    data: z.object({
      ticketId: z.string(),
      /** The support desk, such as `emea`. */
      desk: z.string(),
      team: z.enum(['billing', 'login', 'delivery']),
      priority: z.enum(['normal', 'high', 'urgent']),
      title: z.string(),
      customer: z.email().meta({ pii: true }),
    }),
    subject: (data) => data.ticketId,
  },
  'incident.declared': {
    version: 1,
    data: z.object({
      incidentId: z.string(),
      product: z.string(),
      severity: z.enum(['sev1', 'sev2', 'sev3']),
      title: z.string(),
    }),
    subject: (data) => data.incidentId,
  },
  'customer.signed': {
    version: 1,
    data: z.object({
      customerId: z.string(),
      plan: z.enum(['team', 'business']),
      contact: z.email().meta({ pii: true }),
    }),
    subject: (data) => data.customerId,
  },
  'check.finished': {
    version: 1,
    data: z.object({
      customerId: z.string(),
      check: z.enum(['identity', 'crm', 'legal', 'referral']),
      passed: z.boolean(),
    }),
    subject: (data) => data.customerId,
  },
  'order.placed': {
    version: 1,
    data: z.object({
      orderId: z.string(),
      customerId: z.string(),
      lines: z.array(z.object({ sku: z.string(), quantity: z.int().min(1) })).min(1),
      total: z.number(),
      currency: z.string(),
      address: z.string().meta({ pii: true }),
    }),
    subject: (data) => data.orderId,
  },
  'access.requested': {
    version: 1,
    data: z.object({
      requestId: z.string(),
      system: z.string(),
      role: z.string(),
      why: z.string(),
      requester: z.email().meta({ pii: true }),
    }),
    subject: (data) => data.requestId,
  },
  'invoice.paid': {
    version: 1,
    data: z.object({
      invoiceId: z.string(),
      /** The accounting period that it is booked in, such as `2026-11`. */
      period: z.string(),
      amount: z.number(),
      currency: z.string(),
      payer: z.email().meta({ pii: true }),
      /** The deal that was invoiced, where there was one. */
      dealId: z.string().optional(),
    }),
    subject: (data) => data.invoiceId,
  },
});
