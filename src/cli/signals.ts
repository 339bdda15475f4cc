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
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    work.then(resolve, reject);
  });
}
