import assert from 'node:assert/strict';
import { setImmediate as nextTick } from 'node:timers/promises';
import fc from 'fast-check';
import { sentMarks } from '../../src/dispatch/sent-marks.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';

const runOf = (key: number): RunId =>
  makeRunId({ flow: 'flow', tenant: 'default', key: `k${key}` });

const acts = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant('note' as const), key: fc.nat(3) }),
    fc.record({ act: fc.constant('flush' as const) }),
    fc.record({ act: fc.constant('answer' as const), fails: fc.boolean() }),
  ),
  { maxLength: 60 },
);

describe('the notes of what was sent', () => {
  /** Whatever fails, and whatever is noted while others are being written. */
  it('are in the journal when a flush has resolved, and are written one call at a time', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (schedule) => {
        const written = new Map<RunId, number>();
        const noted = new Map<RunId, number>();
        let answer: ((fails: boolean) => void) | undefined;
        const marks = sentMarks({
          holder: 'test',
          journal: {
            async markSent(_holder, taken) {
              assert.equal(answer, undefined, 'two calls at once');
              const fails = await new Promise<boolean>((resolve) => {
                answer = resolve;
              });
              answer = undefined;
              if (fails) throw new Error('the journal is away');
              for (const { run, through } of taken) {
                written.set(run, Math.max(through, written.get(run) ?? 0));
              }
            },
          },
        });
        const flushes: Promise<void>[] = [];
        const flush = (): void => {
          const before = new Map(noted);
          const flushed = marks.flush().then(
            () => {
              for (const [run, through] of before) assert.ok((written.get(run) ?? 0) >= through);
            },
            (error: Error) => assert.equal(error.message, 'the journal is away'),
          );
          flushes.push(flushed);
        };
        for (const step of schedule) {
          if (step.act === 'note') {
            const run = runOf(step.key);
            noted.set(run, (noted.get(run) ?? 0) + 1);
            marks.note({ run, through: noted.get(run) ?? 0 });
          } else if (step.act === 'flush') flush();
          else answer?.(step.fails);
          await nextTick();
        }
        flush();
        const all = Promise.all(flushes);
        let isDone = false;
        void all.finally(() => {
          isDone = true;
        });
        while (!isDone) {
          answer?.(false);
          await nextTick();
        }
        await all;
        assert.deepEqual(written, noted);
      }),
    );
  });
});
