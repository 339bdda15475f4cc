import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createDataCache } from '../../src/dataref/data-cache.ts';

const step = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  bytes: fc.option(fc.nat(12)),
});

describe('the cache of event data', () => {
  it('has what was used last, as much of it as fits, and never more', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(20), (steps, bytesMax) => {
        const cache = createDataCache(bytesMax);
        /** What was used last comes first. */
        let used: readonly { readonly key: string; readonly json: Buffer }[] = [];
        for (const { key, bytes } of steps) {
          const kept = used.find((entry) => entry.key === key);
          const json = bytes === null ? kept?.json : Buffer.alloc(bytes);
          if (bytes === null) assert.equal(cache.get(key), json);
          else if (json !== undefined) cache.set(key, json);
          if (json === undefined) continue;
          used = [{ key, json }, ...used.filter((entry) => entry !== kept)];
          // The oldest goes until the rest fits.
          while (used.reduce((sum, entry) => sum + entry.json.length, 0) > bytesMax) {
            used = used.slice(0, -1);
          }
        }
        for (const { key, json } of used) assert.equal(cache.get(key), json);
        for (const key of ['a', 'b', 'c', 'd', 'e']) {
          if (!used.some((entry) => entry.key === key)) assert.equal(cache.get(key), undefined);
        }
      }),
      { numRuns: 500 },
    );
  });
});
