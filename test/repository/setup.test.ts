import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { TidegateError } from '../../src/model/error.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { repositoryRoot } from './files.ts';

/** The lookup of the set-up scripts, which are plain JavaScript without types. */
interface SetupLookup {
  findTemporalCli(env: NodeJS.ProcessEnv): string | undefined;
}
const setupLookup = (): Promise<SetupLookup> =>
  import(join(repositoryRoot, 'scripts/setup/temporal-cli.mjs'));

describe('the lookup of the Temporal CLI', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidegate-cli-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function fakeCli(name: string, script = 'echo "temporal version 1.2.3"'): string {
    const path = join(folder, name, 'temporal');
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  }

  const paths = (...names: readonly string[]): string =>
    names.map((name) => join(folder, name)).join(':');

  const cases: readonly (readonly [
    title: string,
    env: () => NodeJS.ProcessEnv,
    found: string | undefined,
  ])[] = [
    [
      'takes what TEMPORAL_CLI names before all else',
      () => ({ TEMPORAL_CLI: fakeCli('own'), PATH: paths('bin') }),
      'own/temporal',
    ],
    ['takes the first on PATH', () => ({ PATH: paths('none', 'bin') }), 'bin/temporal'],
    [
      'passes over a program of that name that is no Temporal CLI',
      () => {
        fakeCli('other', 'echo "some other tool"');
        return { PATH: paths('other', 'bin') };
      },
      'bin/temporal',
    ],
    [
      'passes over one that does not run',
      () => {
        fakeCli('broken', 'echo "temporal version 1"; exit 3');
        return { PATH: paths('broken', 'bin') };
      },
      'bin/temporal',
    ],
    ['takes the one in the cache last', () => ({ PATH: paths('none') }), 'tidegate/temporal'],
    [
      'finds none where there is none',
      () => ({ PATH: paths('none'), XDG_CACHE_HOME: join(folder, 'empty') }),
      undefined,
    ],
    [
      'does not look further when what TEMPORAL_CLI names does not run',
      () => ({ TEMPORAL_CLI: join(folder, 'gone'), PATH: paths('bin') }),
      undefined,
    ],
  ];

  for (const [title, makeEnv, found] of cases) {
    it(`${title}, in the set-up as in the product`, async () => {
      fakeCli('bin');
      fakeCli('tidegate');
      const env = { XDG_CACHE_HOME: folder, ...makeEnv() };
      const expected = found === undefined ? undefined : join(folder, found);
      assert.equal(await productLookup(env), expected);
      assert.equal(await lookupOfSetup(env), expected);
    });
  }
});

async function productLookup(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    return await findTemporalCli(env);
  } catch (error) {
    assert.ok(TidegateError.is(error, 'temporal_cli_missing'));
    return undefined;
  }
}

async function lookupOfSetup(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { findTemporalCli: find } = await setupLookup();
  try {
    return find(env);
  } catch (error) {
    assert.match(String(error), /TEMPORAL_CLI names .* correct it or unset it/);
    return undefined;
  }
}

describe('scripts/setup.mjs', () => {
  it('says nothing when all is there', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(repositoryRoot, 'scripts/setup.mjs')],
      { encoding: 'utf8' },
    );
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  it('refuses a Node that is too old and says which one it needs', async () => {
    const { checkNode } = (await import(join(repositoryRoot, 'scripts/setup/node.mjs'))) as {
      checkNode(version: string): void;
    };
    assert.throws(
      () => checkNode('20.18.3'),
      /needs Node 20\.19\.0 or newer and this is 20\.18\.3/,
    );
    assert.throws(() => checkNode('18.99.0'), /needs Node/);
    for (const version of ['20.19.0', '20.19.1', '20.20.0', '22.1.0']) checkNode(version);
  });
});
