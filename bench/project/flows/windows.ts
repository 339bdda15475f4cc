import { sleep } from '@temporalio/workflow';
import { aggregate, debounce, flowsFor } from 'tidegate/flow';
import type { events } from '../events';

const flow = flowsFor<typeof events>();

/** A hot key: what comes in until it has been quiet for a while, by team. */
export const ticketVolume = flow({
  on: 'ticket.created',
  key: (event) => event.data.queue,
  async run(_first, inbox) {
    const window = await aggregate(inbox, {
      gap: '5s',
      within: '30m',
      groupBy: (event) => event.data.team,
      critical: (event) => event.data.severity === 'critical',
    });
    const grouped = Object.values(window.groups).reduce((sum, { count }) => sum + count, 0);
    return { count: window.count, grouped, criticals: window.criticalCount };
  },
});

/** How late a window closes, on the clock by which it was due. */
export const leadEdits = flow({
  on: 'lead.edited',
  key: (event) => event.data.leadId,
  async run(_first, inbox) {
    const window = await debounce(inbox, { quiet: '1s', atMost: '1m' });
    return { count: window.count, lateMs: Date.now() - (window.lastAt + 1_000) };
  },
});

/** What to compare with: how late Temporal's own timer is, in a workflow that does nothing else. */
export async function plainTimer(): Promise<number> {
  const dueAt = Date.now() + 1_000;
  await sleep(1_000);
  return Date.now() - dueAt;
}

/** A window that stays open while it is looked at. */
export const openOrder = flow({
  on: 'order.placed',
  key: (event) => event.data.orderId,
  run: async (_first, inbox) => (await debounce(inbox, { quiet: '6h', atMost: '12h' })).count,
});
