import { debounce, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();

export const dealDigest = flow({
  on: 'deal.stage_changed',
  key: (event) => event.data.dealId,
  run: async (_first, inbox) => (await debounce(inbox, { quiet: '2s', atMost: '60s' })).count,
});
