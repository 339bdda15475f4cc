import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

export const events = defineEvents({
  'customer.signed': z.object({ customerId: z.string(), name: z.string() }),
  'check.finished': z.object({
    customerId: z.string(),
    check: z.string(),
    passed: z.boolean(),
  }),
});
