import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

/** A project's catalogue, small enough that what the compiler says of it stays as it is. */
export const events = defineEvents({
  'deal.moved': z.object({ dealId: z.string(), amount: z.number() }),
  'team.voted': z.object({ dealId: z.string(), team: z.string(), agrees: z.boolean() }),
});
