import type { SentMark } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import type { RunId } from '../model/run.ts';

/** How far runs have been sent, as far as the journal does not know it yet. */
export interface SentMarks {
  note(mark: SentMark): void;
  /**
   * Resolves when all that was noted before is in the journal. What could not be written is kept for the next
   * time; until then a restart would send it again, which runs recognise.
   *
   * @throws TidegateError `journal_unavailable`
   */
  flush(): Promise<void>;
}

/** Notes what is sent, and writes many notes at once. */
export function sentMarks(options: {
  readonly journal: Pick<Journal, 'markSent'>;
  readonly holder: string;
}): SentMarks {
  const { journal, holder } = options;
  const marks = new Map<RunId, SentMark>();
  let inHand = Promise.resolve();

  const note = (mark: SentMark): void => {
    const known = marks.get(mark.run);
    if (known === undefined || known.through < mark.through) marks.set(mark.run, mark);
  };

  async function write(): Promise<void> {
    if (marks.size === 0) return;
    const taken = [...marks.values()];
    marks.clear();
    try {
      await journal.markSent(holder, taken);
    } catch (error) {
      for (const mark of taken) note(mark);
      throw error;
    }
  }

  return {
    note,
    flush() {
      // Whoever asks while others are being written waits for those too, and tries again what they failed in.
      inHand = inHand.then(write, write);
      return inHand;
    },
  };
}
