import { callerOf } from '../access/authenticate.ts';
import type { Contract, EventCatalogue, OldSenders } from '../model/contract.ts';
import type { Handler } from './handler.ts';

/** What this process knows of event types. */
export interface ListedContracts {
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly oldSenders: Pick<OldSenders, 'list' | 'unlistedCount'>;
}

/**
 * `GET /contracts`: every event type with each version that is taken, its JSON Schema, and who still
 * sends an old one to this process, which is not told to a caller of one tenant: they may be others'.
 */
export const listContracts =
  (contracts: ListedContracts | undefined): Handler =>
  (request) => {
    if (contracts === undefined) return { rows: [] };
    const { catalogue, oldSenders } = contracts;
    const isTold = callerOf(request).tenant === null;
    const senders = isTold ? oldSenders.list() : [];
    const rows = Object.values(catalogue.contracts).map(
      ({ type, version, unversioned, versions, example }) => ({
        type,
        version,
        unversioned,
        versions,
        example,
        oldSenders: senders
          .filter((sender) => sender.type === type)
          .map(({ type: _type, ...sender }) => sender),
      }),
    );
    const unlisted = isTold ? oldSenders.unlistedCount() : 0;
    return { rows, ...(unlisted === 0 ? {} : { oldSendersUnlisted: unlisted }) };
  };
