import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ERROR_CODES } from '../../src/model/error.ts';
import { readText } from './files.ts';

describe('docs/reference/errors.md', () => {
  const headings = (): readonly string[] =>
    [...readText('docs/reference/errors.md').matchAll(/^### `?([a-z_]+)`?$/gm)].map(
      ([, code]) => code ?? '',
    );

  it('explains every error code once', () => {
    const documented = headings();
    assert.deepEqual(
      ERROR_CODES.filter((code) => documented.filter((other) => other === code).length !== 1),
      [],
    );
  });

  it('explains no error code that does not exist', () => {
    const codes: readonly string[] = ERROR_CODES;
    assert.deepEqual(
      headings().filter((code) => !codes.includes(code)),
      [],
    );
  });
});
