import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'mocha';
import { LIMITS } from '../../src/model/limits.ts';

const page = readFileSync(new URL('../../docs/operating/limits.md', import.meta.url), 'utf8');

describe('docs/operating/limits.md', () => {
  const documented = [...page.matchAll(/^\| `(\w+)` \| ([\d,]+) \|/gm)].map(
    ([, name = '', value = '']) => [name, Number(value.replaceAll(',', ''))] as const,
  );

  it('has each limit once, with its value', () => {
    const byName = (rows: readonly (readonly [string, number])[]) =>
      rows.toSorted(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(byName(documented), byName(Object.entries(LIMITS)));
  });
});
