import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TidegateError } from '../model/error.ts';

/** Where a server is to listen, and what it is, for who finds the port taken. */
export interface ListenAddress {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Connections that may wait to be accepted. @default Node's, 511 */
  readonly backlog?: number;
  /** What the server is, and the variable that moves it. */
  readonly what: string;
  readonly variable: string;
}

/**
 * Resolves when the server listens.
 *
 * @throws TidegateError `port_taken`
 */
export const listen = (server: Server, address: ListenAddress): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void =>
      reject(error.code === 'EADDRINUSE' ? portTaken(address, error) : error);
    server.once('error', fail);
    const { host, port, backlog } = address;
    server.listen({ host, port, ...(backlog !== undefined && { backlog }) }, () => {
      server.off('error', fail);
      resolve(server.address() as AddressInfo);
    });
  });

const portTaken = (
  { host, port, what, variable }: ListenAddress,
  cause: NodeJS.ErrnoException,
): TidegateError =>
  new TidegateError(
    'port_taken',
    `Another process listens on ${host}, port ${port} (${what}). Stop it, or set ${variable} to a free port.`,
    { cause },
  );
