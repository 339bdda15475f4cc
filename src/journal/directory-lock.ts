import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TidegateError } from '../model/error.ts';

/**
 * Keeps a second process out of a directory: two embedded databases on the same files destroy them.
 * The lock is a socket that nobody calls, because the system frees it however the process ends.
 *
 * @returns what gives the directory free.
 * @throws TidegateError `journal_unavailable` when the directory is in use.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const name = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex')
    .slice(0, 24);
  const address = socketAddress(`tidegate-${name}`);
  const server = (await listen(address)) ?? (await listenAfterCrash(address));
  if (server === undefined) {
    throw new TidegateError(
      'journal_unavailable',
      `Another process has the embedded journal in ${directory} open. Stop it, or set TIDEGATE_DIR to another directory, or use PostgreSQL through DATABASE_URL.`,
    );
  }
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function socketAddress(name: string): string {
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => resolve(server));
  });
}

/** Where sockets are files, one outlives a process that crashed: nobody answers on it. */
async function listenAfterCrash(address: string): Promise<Server | undefined> {
  if (!address.endsWith('.sock') || (await answers(address))) return undefined;
  await rm(address, { force: true });
  return listen(address);
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
