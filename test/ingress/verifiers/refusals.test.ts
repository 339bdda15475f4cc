import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { countRefusals, type RefusedDelivery } from '../../../src/ingress/refusals.ts';
import { LIMITS } from '../../../src/model/limits.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const refusal = (fields: Partial<RefusedDelivery> = {}): RefusedDelivery => ({
  source: 'github',
  cause: 'signature_mismatch',
  bytes: 10,
  ...fields,
});

describe('The counters of refused deliveries', () => {
  it('count by source and cause, with their bytes', () => {
    const refusals = countRefusals();
    refusals.note(refusal(), NOW);
    refusals.note(refusal({ bytes: 5 }), NOW);
    refusals.note(refusal({ cause: 'header_missing' }), NOW);
    refusals.note(refusal({ source: 'stripe' }), NOW);
    assert.deepEqual(refusals.counts(), [
      { source: 'github', cause: 'signature_mismatch', count: 2, bytes: 15 },
      { source: 'github', cause: 'header_missing', count: 1, bytes: 10 },
      { source: 'stripe', cause: 'signature_mismatch', count: 1, bytes: 10 },
    ]);
  });

  it('let a source have a few lines of the log in a minute, and say then how many had none', () => {
    const refusals = countRefusals();
    const lines = (atMs: number, times: number, source = 'github') =>
      Array.from({ length: times }, () => refusals.note(refusal({ source }), atMs)).flatMap(
        (line) => line ?? [],
      );
    const { refusalLinesMax } = LIMITS;
    assert.equal(lines(NOW, refusalLinesMax + 7).length, refusalLinesMax);
    assert.deepEqual(lines(NOW + 59_999, 1), []);
    assert.deepEqual(lines(NOW + 59_999, 1, 'stripe'), [{ unlogged: 0 }]);
    assert.deepEqual(lines(NOW + 60_000, 2), [{ unlogged: 8 }, { unlogged: 0 }]);
    assert.equal(refusals.counts()[0]?.count, refusalLinesMax + 10);
  });
});
