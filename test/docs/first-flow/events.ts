import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

export const events = defineEvents({
  'user.created': z.object({ name: z.string() }),
  'order.status_changed': z.object({ orderId: z.string(), status: z.string() }),
});
