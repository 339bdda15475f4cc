import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { readConfig } from '../../src/config.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { readSecret, readSecretList } from '../../src/secret-variable.ts';

const SECRET = 'hunter2-hunter2-hunter2-hunter2!';

describe('a secret', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidegate-secret-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function file(text: string): string {
    const path = join(folder, 'secret');
    writeFileSync(path, text);
    return path;
  }

  it('is the variable, or what its file holds without the line end', () => {
    assert.deepEqual(readSecret('A', {}), { status: 'unset' });
    assert.deepEqual(readSecret('A', { A: '', A_FILE: '' }), { status: 'unset' });
    assert.deepEqual(readSecret('A', { A: 'x' }), { status: 'set', text: 'x', from: 'variable' });
    for (const end of ['', '\n', '\r\n']) {
      const read = readSecret('A', { A_FILE: file(` x y${end}`) });
      assert.deepEqual(read, { status: 'set', text: ' x y', from: 'file' });
    }
  });

  it('is refused where the file cannot be one, by the variable to correct', () => {
    const problem = (environment: Record<string, string>): string => {
      const read = readSecret('A', environment);
      assert.ok(read.status === 'unreadable');
      assert.ok(!read.problem.includes(SECRET));
      return `${read.variable} ${read.problem}`;
    };
    const path = file(SECRET);
    assert.equal(
      problem({ A: SECRET, A_FILE: path }),
      'A is set together with A_FILE; set one of them',
    );
    assert.equal(
      problem({ A_FILE: `${path}.not` }),
      'A_FILE names a file that cannot be read (ENOENT)',
    );
    assert.equal(problem({ A_FILE: folder }), 'A_FILE names something that is not a file');
    assert.equal(problem({ A_FILE: file('\n') }), 'A_FILE names an empty file');
    const tooLarge = file('x'.repeat(LIMITS.configFileBytesMax + 1));
    assert.match(problem({ A_FILE: tooLarge }), /^A_FILE names a file of more than 65536 bytes$/);
  });

  it('can be several: between commas in a variable, lines in a file', () => {
    assert.deepEqual(readSecretList('A', { A: ' a , b,c ' }), ['a', 'b', 'c']);
    assert.deepEqual(readSecretList('A', { A: '  ' }), []);
    assert.deepEqual(readSecretList('A', { A_FILE: file('a,b\r\n c \n\n') }), ['a,b', 'c']);
    // Of a file that is there, something was to be read.
    assert.deepEqual(readSecretList('A', { A_FILE: file('  \n') }), ['']);
    assert.throws(() => readSecretList('A', { A_FILE: folder }), {
      code: 'config_invalid',
      message: 'A_FILE names something that is not a file.',
    });
  });

  it('of the configuration can be a file too', () => {
    const config = readConfig({
      HOST: '0.0.0.0',
      TIDEGATE_TOKEN_FILE: file(`${SECRET}\n`),
      TIDEGATE_LINK_SECRET_FILE: file(`${SECRET}\n`),
    });
    assert.equal(config.token, SECRET);
    assert.deepEqual(config.linkSecrets, [SECRET]);
    const several = file(`${SECRET}-new\n${SECRET}-old\n`);
    assert.deepEqual(readConfig({ TIDEGATE_LINK_SECRET_FILE: several }).linkSecrets, [
      `${SECRET}-new`,
      `${SECRET}-old`,
    ]);
  });

  it('of the configuration that cannot be read is told with the other problems, and not as missing', () => {
    assert.throws(
      () =>
        readConfig({ HOST: '0.0.0.0', PORT: 'http', TIDEGATE_TOKEN_FILE: join(folder, 'gone') }),
      ({
        details,
      }: {
        readonly details: { readonly problems: readonly { variable: string }[] };
      }) => {
        assert.deepEqual(
          details.problems.map(({ variable }) => variable),
          ['TIDEGATE_TOKEN_FILE', 'PORT'],
        );
        return true;
      },
    );
    assert.throws(
      () => readConfig({ TIDEGATE_METRICS_TOKEN_FILE: file('short') }),
      (error: Error) => {
        assert.match(error.message, /TIDEGATE_METRICS_TOKEN must have at least 16 characters/);
        assert.ok(!error.message.includes('short'));
        return true;
      },
    );
  });
});
