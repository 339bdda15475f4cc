import { debounce, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { crm, slack } from './connectors';

const flow = flowsFor<typeof events>();

export const dealDigest = flow({
  on: 'deal.stage_changed',
  owner: 'revops',
  summary: 'One notice when a deal has come to rest',
  slo: { within: '5m', target: 0.995 },
  where: (event) => event.data.amount >= 1_000,
  key: (event) => event.data.dealId,
  async run(first, inbox) {
    const window = await debounce(inbox, { quiet: '5s', atMost: '1m' });
    // The final state, not the last event's idea of it.
    const deal = await crm.getDeal({ id: first.data.dealId });
    await slack.postMessage({
      channel: '#deals',
      text: `${deal.name}: ${deal.stage} (${window.count} changes)`,
    });
  },
});
