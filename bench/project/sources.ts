import { defineSource, hmacSignature } from 'tidegate/ingress';
import { z } from 'zod';

const Payload = z.looseObject({ id: z.string() });

/** What bench/ingress.ts and bench/overload.ts send. */
export const sources = [
  defineSource({
    name: 'bench',
    verify: hmacSignature({ header: 'x-bench-signature', encoding: 'hex' }),
    toEvents({ payload }) {
      const { id, ...data } = Payload.parse(payload);
      return [{ type: 'deal.stage_changed', data: data as never, id }];
    },
  }),
];
