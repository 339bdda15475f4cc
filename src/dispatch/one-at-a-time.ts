import { setTimeout as sleep } from 'node:timers/promises';

/** A task that is asked for more often than it is to run. */
export interface OneAtATime {
  /** Runs it at once, or once more after the one in hand. */
  ask(): void;
  /** Not again; resolves when the one in hand has ended. */
  stop(): Promise<void>;
}

/**
 * Runs a task one at a time, however often it is asked for; after what was asked last it runs once more.
 *
 * @param pauseMs how long it rests after each.
 */
export function oneAtATime(
  task: () => Promise<void>,
  {
    onFailure,
    pauseMs,
  }: { readonly onFailure: (error: unknown) => void; readonly pauseMs: number },
): OneAtATime {
  let inHand: Promise<void> | undefined;
  let isAskedAgain = false;
  let isStopped = false;

  function ask(): void {
    if (isStopped) return;
    isAskedAgain = inHand !== undefined;
    if (isAskedAgain) return;
    inHand = task()
      .catch(onFailure)
      .then(() => sleep(isStopped ? 0 : pauseMs))
      .finally(() => {
        inHand = undefined;
        if (isAskedAgain) ask();
      });
  }

  return {
    ask,
    async stop() {
      isStopped = true;
      await inHand;
    },
  };
}
