import assert from 'node:assert/strict';
import fc from 'fast-check';
import { nextToUndo } from '../../src/workflows/primitives/saga.ts';

describe('the order in which a saga undoes, through random decisions', () => {
  it('is newest first, each step once and none left out', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('undone', 'leftUndone'), { maxLength: 40 }), (ends) => {
        const steps = ends.map((): { status: 'begun' | 'undone' | 'leftUndone' } => ({
          status: 'begun',
        }));
        const order: number[] = [];
        for (let next = nextToUndo(steps); next !== undefined; next = nextToUndo(steps)) {
          order.push(next);
          steps[next] = { status: ends[next] ?? 'undone' };
          assert.ok(order.length <= ends.length, 'a step is undone twice');
        }
        assert.deepEqual(order, [...ends.keys()].reverse());
      }),
    );
  });
});
