import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const endNow = (signal: (typeof SIGNALS)[number]): void =>
  process.exit(128 + constants.signals[signal]);

/**
 * Lets a signal end this process until `untilStopped` takes over. That is the default of every process but the
 * first of a container, which has none: it would go on starting until it is killed.
 */
export function endAtSignals(): void {
  for (const signal of SIGNALS) process.on(signal, endNow);
}

/**
 * Resolves at SIGINT or SIGTERM; a second one ends the process at once. Rejects when the work it
 * watches fails.
 */
export function untilStopped(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let asked = 0;
    const stop = (): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      resolve();
    };
    for (const signal of SIGNALS) process.off(signal, endNow).on(signal, stop);
    work.then(resolve, reject);
  });
}
