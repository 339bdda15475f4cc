import assert from 'node:assert/strict';
import { loggable } from '../../src/worker.ts';

describe('what a worker logs of a flow that no longer fits', () => {
  // As SDK 1.24.0 tells it, shortened.
  const failure = (message: string): string =>
    `Failure { failure: Some(Failure { message: "${message}", source: "" }), force_cause: NonDeterministicError }`;

  it('names the steps that do not fit, with a code', () => {
    const mismatch =
      "Activity type of scheduled event 'probe.act' does not match activity type of activity command 'probe.tell'";
    const shown = loggable({
      runId: 'r1',
      failure: failure(`[TMPRL1100] Nondeterminism error: ${mismatch}`),
    });
    assert.deepEqual(shown, { runId: 'r1', code: 'flow_changed', mismatch });
  });

  it('leaves out what a flow has thrown: it may be data', () => {
    assert.deepEqual(loggable({ failure: failure('no such customer: Ada') }), {});
  });
});
