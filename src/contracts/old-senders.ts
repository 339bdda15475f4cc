import type { OldSender, OldSenders } from '../model/contract.ts';
import { LIMITS } from '../model/limits.ts';

/** An empty count. It lives as long as the process: a sender that has moved on is gone after a restart. */
export function countOldSenders(): OldSenders {
  const senders = new Map<string, OldSender>();
  let unlisted = 0;
  return {
    note({ source, type, version }, atMs) {
      const name = JSON.stringify([source, type, version]);
      const known = senders.get(name);
      if (known === undefined && senders.size >= LIMITS.oldSendersMax) unlisted += 1;
      else {
        const count = (known?.count ?? 0) + 1;
        senders.set(name, { source, type, version, count, lastAt: new Date(atMs).toISOString() });
      }
    },
    list: () => [...senders.values()].toSorted((one, other) => other.count - one.count),
    unlistedCount: () => unlisted,
  };
}
