import { defineSource, hmacSignature } from 'tidegate/ingress';
import { z } from 'zod';

const Payload = z.looseObject({ id: z.string() });

/** What bench/ingress.ts, bench/overload.ts and bench/orders.ts send. */
export const sources = [
  defineSource({
    name: 'bench',
    verify: hmacSignature({ header: 'x-bench-signature', encoding: 'hex' }),
    toEvents({ payload }) {
      const { id, ...data } = Payload.parse(payload);
      const type = 'order' in data ? 'order.paid' : 'deal.stage_changed';
      return [{ type, data: data as never, id }];
    },
  }),
];
