import type { Migration } from 'kysely';
import { initial } from './0001-initial.ts';
import { apiKeys } from './0002-api-keys.ts';
import { loopGuard } from './0003-loop-guard.ts';
import { heldDeliveries } from './0004-held-deliveries.ts';
import { dataCare } from './0005-data-care.ts';
import { dispatchers } from './0006-dispatchers.ts';
import { rawDeliveries } from './0007-raw-deliveries.ts';
import { partitions } from './0008-partitions.ts';
import { indexes } from './0009-indexes.ts';
import { undeliverable } from './0010-undeliverable.ts';
import { dispatcherPresence } from './0011-dispatcher-presence.ts';
import { runStates } from './0012-run-states.ts';

/** Every migration by its name, in the order of their names. A released one is never changed. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-api-keys': apiKeys,
  '0003-loop-guard': loopGuard,
  '0004-held-deliveries': heldDeliveries,
  '0005-data-care': dataCare,
  '0006-dispatchers': dispatchers,
  '0007-raw-deliveries': rawDeliveries,
  '0008-partitions': partitions,
  '0009-indexes': indexes,
  '0010-undeliverable': undeliverable,
  '0011-dispatcher-presence': dispatcherPresence,
  '0012-run-states': runStates,
};
