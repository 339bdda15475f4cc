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
});
