import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

export const events = defineEvents({
  'deal.stage_changed': z.object({ dealId: z.string(), stage: z.string(), amount: z.number() }),
});
