import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { devLinkSecret } from '../../src/cli/link-secret.ts';
import { readConfig } from '../../src/config.ts';

describe('the link secret of tidegate dev', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-link-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const file = () => join(directory, 'state', 'link-secret');
  const make = () => devLinkSecret(join(directory, 'state'));

  it('is made once, long enough, and read by nobody else', () => {
    const secret = make();
    assert.deepEqual(readConfig({ TIDEGATE_LINK_SECRET: secret }).linkSecrets, [secret]);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
    assert.equal(make(), secret);
    assert.notEqual(devLinkSecret(join(directory, 'another')), secret);
  });

  it('is closed again when its file was opened, and replaced when that is broken', () => {
    const secret = make();
    chmodSync(file(), 0o644);
    assert.equal(make(), secret);
    assert.equal(statSync(file()).mode & 0o777, 0o600);
    writeFileSync(file(), '');
    assert.notEqual(make(), secret);
    assert.equal(make(), make());
  });
});
