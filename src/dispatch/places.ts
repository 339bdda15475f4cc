import { Client, type Connection } from '@temporalio/client';
import type { Journal } from '../journal/journal.ts';
import { placeOf, type Routes } from '../model/routes.ts';
import type { RunId } from '../model/run.ts';
import type { TemporalTarget } from '../temporal.ts';

/** A place as a call needs it. */
export interface PlaceToSend {
  readonly client: Client;
  readonly taskQueue: string;
}

/** Where runs are: in several namespaces of one Temporal, over one connection. */
export interface RunPlaces {
  /**
   * Where a run is to be sent. Kept in the journal before it is told, so that a run which is open stays
   * where it is when routes change.
   *
   * @throws TidegateError `journal_unavailable`
   */
  placeToSend(run: RunId, tenant: string): Promise<PlaceToSend>;
  /** Of the namespace that a run's row names; of the process's own when it names none. */
  clientOf(namespace: string | undefined): Client;
  /** Of the namespace that a run is in. */
  clientOfRun(run: RunId): Promise<Client>;
}

export function runPlaces(options: {
  readonly journal: Pick<Journal, 'placeRun' | 'findRun'>;
  readonly connection: Connection;
  /** What the process is configured for. */
  readonly temporal: Pick<TemporalTarget, 'namespace' | 'dataConverter'>;
  readonly routes: Routes;
}): RunPlaces {
  const { journal, connection, temporal, routes } = options;
  const clients = new Map<string, Client>();
  const clientOf = (namespace: string = temporal.namespace): Client => {
    const known = clients.get(namespace);
    if (known !== undefined) return known;
    const { dataConverter } = temporal;
    const client = new Client({ connection, namespace, ...(dataConverter && { dataConverter }) });
    clients.set(namespace, client);
    return client;
  };
  return {
    clientOf,
    async clientOfRun(run) {
      return clientOf((await journal.findRun(run))?.namespace);
    },
    async placeToSend(run, tenant) {
      const { taskQueue, namespace } = await journal.placeRun(run, placeOf(routes, tenant));
      return { client: clientOf(namespace), taskQueue };
    },
  };
}
