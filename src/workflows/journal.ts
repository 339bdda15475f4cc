import { proxyLocalActivities } from '@temporalio/workflow';
import type { JournalActivities } from '../model/protocol.ts';

/**
 * The journal as a run writes to it. Local activities: a write is milliseconds, and it must not wait
 * behind the operations of connectors. They are tried until the journal is back.
 */
export const journal = proxyLocalActivities<JournalActivities>({
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '30 seconds',
  retry: { initialInterval: '100 milliseconds', maximumInterval: '10 seconds' },
});
