import assert from 'node:assert/strict';
import fc from 'fast-check';
import { utf8Bytes } from '../../src/model/run.ts';

const encoder = new TextEncoder();

describe('The length of a text in UTF-8', () => {
  it('is that of its encoding, whatever its characters, with halves of surrogate pairs', () => {
    const unit = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom('\u{1f600}', '\ud83d', '\ude00', '\u07ff', '\u0800', '\uffff', '\u007f', 'é'),
    );
    fc.assert(
      fc.property(fc.array(unit), (parts) => {
        const text = parts.join('');
        assert.equal(utf8Bytes(text), encoder.encode(text).length);
      }),
    );
  });
});
