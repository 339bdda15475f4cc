import type { BoundConnector } from '../model/connector.ts';
import type { Handler } from './handler.ts';

/** What is told of a connector. `mode` is absent where connectors are not bound: the worker knows it. */
export type ListedConnector = Pick<BoundConnector, 'name' | 'operations'> &
  Partial<Pick<BoundConnector, 'mode'>>;

/** `GET /connectors`: which outside systems the flows call and, where it is known, whether for real. */
export const listConnectors =
  (connectors: readonly ListedConnector[]): Handler =>
  () => ({
    rows: connectors.map(({ name, mode, operations }) => ({ name, mode, operations })),
  });
