/**
 * What the compiler says of events that a flow emits and waits for: each `@ts-expect-error` is a
 * mistake it must refuse, and each line without one must compile. `tsc --noEmit` is the test.
 */
import { emitFor, flowsFor, type WaitForResult, waitFor } from 'tidegate/flow';
import type { events } from '../../examples/acme/events.ts';

const flow = flowsFor<typeof events>();
const emit = emitFor<typeof events>();

export const emits = flow({
  on: 'deal.viewed',
  run: async ({ data: { dealId, viewer } }) => {
    const { id, status } = await emit('deal.viewed', { dealId, viewer }, { subject: dealId });
    const known: 'accepted' | 'filtered' | 'unrouted' | 'looped' = status;
    // @ts-expect-error a type that is not in the catalogue
    await emit('deal.seen', { dealId, viewer });
    // @ts-expect-error a misspelt field
    await emit('deal.viewed', { dealID: dealId, viewer });
    // @ts-expect-error a field too many
    await emit('deal.viewed', { dealId, viewer, at: 1 });
    // @ts-expect-error a missing field
    await emit('deal.viewed', { dealId });
    // @ts-expect-error the data of another type
    await emit('deal.viewed', { userId: 'u1', name: 'Ada', email: 'ada@example.com' });
    // @ts-expect-error a misspelt option
    await emit('deal.viewed', { dealId, viewer }, { subjekt: dealId });
    return [id, known];
  },
});

export const waits = flow({
  on: ['deal.viewed', 'deal.stage_changed'],
  run: async (_first, inbox) => {
    const seen = await waitFor(inbox, (event) => event.type === 'deal.viewed', { within: '2d' });
    // @ts-expect-error it may have timed out
    seen.event;
    if (seen.status === 'timedOut') return seen.closedBy satisfies 'deadline' | 'flushed';
    const viewer: string = seen.event.data.viewer;
    // @ts-expect-error the predicate is a type guard: this is the data of the other type
    seen.event.data.stage;

    const any = await waitFor(inbox, (event) => event.id.length > 3, { within: '2d' });
    if (any.status === 'received' && any.event.type === 'deal.stage_changed') {
      const amount: number = any.event.data.amount;
      return amount;
    }
    // @ts-expect-error a time to wait must be said
    await waitFor(inbox, () => true, {});
    // @ts-expect-error a duration without a unit that exists
    await waitFor(inbox, () => true, { within: '2 days' });
    // @ts-expect-error an asynchronous predicate
    await waitFor(inbox, async () => true, { within: '2d' });
    // @ts-expect-error a misspelt field of the data
    await waitFor(inbox, (event) => event.data.dealID === '1', { within: '2d' });
    return viewer;
  },
});

export const ending = (result: WaitForResult): string =>
  result.status === 'received' ? result.event.id : result.closedBy;
