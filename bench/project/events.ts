import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

export const events = defineEvents({
  'deal.stage_changed': z.object({ dealId: z.string(), stage: z.string(), amount: z.number() }),
  'ticket.created': z.object({
    queue: z.string(),
    team: z.string(),
    severity: z.string(),
    number: z.number(),
  }),
  'lead.edited': z.object({ leadId: z.string(), edit: z.number() }),
  'order.placed': z.object({ orderId: z.string() }),
  'order.paid': z.object({ order: z.string() }),
  'page.viewed': z.object({ page: z.string(), isBot: z.boolean() }),
  'page.left': z.object({ page: z.string() }),
});
