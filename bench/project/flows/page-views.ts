import { aggregate, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();

/** Of bench/memory.ts: what people look at, counted by the thousand. Nobody takes `page.left`. */
export const pageViews = flow({
  on: 'page.viewed',
  where: (event) => !event.data.isBot,
  key: (event) => event.data.page,
  run: async (_first, inbox) => (await aggregate(inbox, { count: 1_000, within: '10s' })).count,
});
