/**
 * A workflow task that fails is done again, without the updates that came with it and with signals that
 * come later than before; one that would end the run while an event comes always fails. What the
 * journal has been told in it stays. So what matters is told only when it rests on the history.
 */
import { patched, sleep } from '@temporalio/workflow';

export interface InHistory {
  /** Notes that something has come: a delivery that a step has taken, a decision. */
  came(): void;
  /** How much has come. An activity or a timer that begins now ends when the history has it. */
  mark(): number;
  /** Notes that an activity or a timer has ended that began at a mark. */
  through(mark: number): void;
  /** Resolves when the history has all that has come, and with it what followed. */
  all(): Promise<void>;
}

export function createInHistory(): InHistory {
  let come = 0;
  let kept = 0;
  const through = (mark: number): void => {
    kept = Math.max(kept, mark);
  };
  return {
    came() {
      come += 1;
    },
    mark: () => come,
    through,
    async all() {
      const mark = come;
      // Runs that began before this was known go on without.
      if (kept >= mark || !patched('messages-in-history')) return;
      await sleep(1);
      through(mark);
    },
  };
}
