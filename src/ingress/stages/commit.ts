import type {
  AppendEntry,
  AppendResult,
  NumberedDelivery,
  RawDelivery,
} from '../../journal/deliveries.ts';
import type { Decision, EventResult, IngressContext, Refusal } from '../exchange.ts';
import { type FreshDelivery, holdRunaways } from './hold-runaways.ts';

/** What has become of an event, now that it is durable, and which deliveries to wait for. */
export interface Committed {
  readonly result: EventResult;
  readonly deliveries: readonly NumberedDelivery[];
}

/**
 * Makes decisions durable: refusals as dead letters, all other events in one transaction. Refusals go
 * first, so that what is accepted is handed to the dispatcher as soon as it is committed.
 *
 * @param raw what the events came in, to be kept with them.
 * @throws TidegateError `journal_unavailable` or `backlog_full`: the sender is to send all of it again.
 */
export async function commit(
  decisions: readonly Decision[],
  { journal, onAppended }: IngressContext,
  raw?: RawDelivery,
): Promise<readonly Committed[]> {
  const refusals = decisions.filter((decision) => decision.kind === 'refused');
  if (refusals.length > 0) await journal.reject(refusals.map(({ rejection }) => rejection));
  const entries = decisions.flatMap((decision) =>
    decision.kind === 'journal' ? [raw ? { ...decision.entry, raw } : decision.entry] : [],
  );
  const appended = entries.length === 0 ? [] : await journal.append(entries);
  const fresh = appended.flatMap((result, index) => freshDeliveries(entries[index], result));
  const ready = await holdRunaways(fresh, { journal });
  if (ready.length > 0) onAppended(ready);
  let next = 0;
  return decisions.map((decision) => {
    switch (decision.kind) {
      case 'journal': {
        const result = appended[next] as AppendResult;
        next += 1;
        return journalled(decision.entry, result);
      }
      case 'refused':
        return { result: refused(decision), deliveries: [] };
      case 'ignored':
        return { result: ignored(decision), deliveries: [] };
      default:
        return decision satisfies never;
    }
  });
}

function freshDeliveries(
  entry: AppendEntry | undefined,
  result: AppendResult,
): readonly FreshDelivery[] {
  if (entry === undefined || result.status === 'duplicate') return [];
  return result.deliveries.map((target) => ({ target, entry }));
}

function journalled({ event }: AppendEntry, appended: AppendResult): Committed {
  const { status, reason, correlationId, deliveries, held } = appended;
  return {
    result: {
      id: event.id,
      status,
      ...(reason === undefined ? {} : { reason }),
      correlationId,
      deliveries: deliveries.map(({ flow, key, run }) => ({ flow, key, run })),
      ...(held && { held: held.map(({ flow, code }) => ({ flow, code })) }),
    },
    deliveries,
  };
}

const refused = ({ code, rejection, correlationId }: Refusal): EventResult => ({
  id: rejection.id,
  status: 'rejected',
  reason: code,
  correlationId,
  deliveries: [],
  ...(rejection.errors === undefined ? {} : { errors: rejection.errors }),
});

const ignored = ({
  id,
  reason,
}: {
  readonly id: string;
  readonly reason: string;
}): EventResult => ({
  id,
  status: 'filtered',
  reason,
  correlationId: id,
  deliveries: [],
});
