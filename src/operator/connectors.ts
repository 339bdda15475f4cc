import type { BoundConnector } from '../model/connector.ts';
import type { Handler } from './handler.ts';

/** `GET /connectors`: which outside systems the flows call, for real or by a fake. */
export const listConnectors =
  (connectors: readonly BoundConnector[]): Handler =>
  () => ({
    rows: connectors.map(({ name, mode, operations }) => ({ name, mode, operations })),
  });
