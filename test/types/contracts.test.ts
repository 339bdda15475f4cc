import assert from 'node:assert/strict';
import { compileAll } from './compiler.ts';

const IMPORTS = `import { defineEvents } from 'tidegate/contracts';\nimport { z } from 'zod';\n`;
const DEFAULT = `${IMPORTS}defineEvents({ 'a.b': z.object({ at: z.string().default('x') }) });`;
const SEVERAL = `${IMPORTS}defineEvents({
  'a.b': { version: 1, data: z.object({ at: z.coerce.number() }) },
  'c.d': z.object({ at: z.date() }),
  'e.f': z.object({ at: z.iso.datetime() }),
});`;

describe('the compiler, of a contract', function () {
  this.timeout(120_000);
  let messages: ReadonlyMap<string, string>;

  before(() => {
    messages = compileAll(
      new Map([
        ['default', DEFAULT],
        ['several', SEVERAL],
      ]),
    );
  });
  const saysOf = (name: string): string => messages.get(name) ?? 'never compiled';

  it('says in words that a schema must not transform', () => {
    assert.match(saysOf('default'), /schema must not transform: put the mapping in the source/);
  });

  it('says so of a versioned definition too, and that data must be JSON', () => {
    const said = saysOf('several');
    assert.match(said, /schema must not transform: put the mapping in the source/);
    assert.match(said, /schema must be JSON/);
    assert.equal(said.split('\n').filter((line) => line.includes("'e.f'")).length, 0);
  });
});
