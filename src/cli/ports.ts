import { createServer } from 'node:net';
import { TidegateError } from '../model/error.ts';

export interface NeededPort {
  readonly port: number;
  readonly host: string;
  /** What the port is for, such as `the ingress`. */
  readonly use: string;
  readonly variable: string;
}

/**
 * Checks that ports are free, before anything is started.
 * @throws TidegateError `port_taken` naming every taken port and the variable that moves it.
 */
export async function assertPortsFree(needed: readonly NeededPort[]): Promise<void> {
  const taken = [];
  for (const candidate of needed) {
    if (!(await isFree(candidate))) taken.push(candidate);
  }
  if (taken.length === 0) return;
  const list = taken.map(({ port, use }) => `${port} (${use})`).join(', ');
  const remedy = taken.map(({ variable, port }) => `${variable}=${port + 1}`).join(' ');
  throw new TidegateError(
    'port_taken',
    `Another process listens on ${list}. Stop it, or choose other ports, for example: ${remedy} npm start`,
  );
}

const isFree = ({ port, host }: NeededPort): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
