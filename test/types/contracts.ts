/**
 * What the compiler says of contracts: each `@ts-expect-error` is a mistake it must refuse, and each
 * line without one must compile. `tsc --noEmit` is the test.
 */
import { defineEvents, type EventOf, type EventTypesOf } from 'tidegate/contracts';
import { z } from 'zod';

const events = defineEvents({
  'user.created': z.object({ userId: z.string(), nick: z.string().optional() }),
  'deal.stage_changed': {
    version: 2,
    data: z.object({ dealId: z.string(), amount: z.number(), currency: z.string() }),
    subject: (data) => data.dealId,
    upcast: { 1: (old) => ({ ...old, currency: 'EUR' }) },
  },
  'note.added': z.object({ anything: z.unknown(), tree: z.json(), tags: z.array(z.string()) }),
});

type Types = EventTypesOf<typeof events>;
export const deal: Types['deal.stage_changed'] = { dealId: 'd', amount: 1, currency: 'EUR' };
export const user: Types['user.created'] = { userId: 'u' };
// @ts-expect-error amount is a number
export const wrongDeal: Types['deal.stage_changed'] = { dealId: 'd', amount: '1', currency: 'EUR' };
// @ts-expect-error no such event type
export type Missing = Types['deal.closed'];
export const dealIdOf = (event: EventOf<typeof events, 'deal.stage_changed'>): string =>
  event.data.dealId;
export const contractVersion: number = events.contracts['deal.stage_changed'].version;

interface Category {
  readonly name: string;
  readonly children: readonly Category[];
}
const category: z.ZodType<Category, Category> = z.lazy(() =>
  z.object({ name: z.string(), children: z.array(category) }),
);
export const recursive = defineEvents({ 'category.moved': category });

// @ts-expect-error a transform
defineEvents({ 'a.b': z.object({ at: z.string().transform((text) => text.length) }) });
// @ts-expect-error a coercion
defineEvents({ 'a.b': z.object({ amount: z.coerce.number() }) });
// @ts-expect-error a default
defineEvents({ 'a.b': z.object({ amount: z.number().default(1) }) });
// @ts-expect-error a date is not JSON
defineEvents({ 'a.b': z.object({ at: z.date() }) });
// @ts-expect-error a map is not JSON
defineEvents({ 'a.b': z.object({ prices: z.map(z.string(), z.number()) }) });
// @ts-expect-error a pipe to another type
defineEvents({ 'a.b': z.string().pipe(z.transform((text) => [text])) });
defineEvents({
  // @ts-expect-error a default, in a versioned definition
  'a.b': { version: 1, data: z.object({ amount: z.number().default(1) }) },
});
defineEvents({
  // @ts-expect-error the subject reads a field that is not there
  'a.b': { version: 1, data: z.object({ id: z.string() }), subject: (data) => data.wrong },
});
