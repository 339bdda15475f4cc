import { proxyActivities } from '@temporalio/workflow';
import type { callReceiver } from './activities.ts';

const activities = proxyActivities<{ callReceiver: typeof callReceiver }>({
  startToCloseTimeout: '30 seconds',
});

/** The flow `order` of bench/project as one writes it by hand: one call, tried again until it succeeds. */
export const naiveOrder = (order: string): Promise<void> => activities.callReceiver(order);
