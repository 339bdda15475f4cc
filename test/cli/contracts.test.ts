import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../repository/files.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const events = (fields: string): string => `
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
export const events = defineEvents({ 'deal.closed': z.object({ ${fields} }) });
`;
const RELEASED = events("dealId: z.string(), stage: z.enum(['won', 'lost'])");
const BROKEN = events("dealId: z.string(), stage: z.enum(['won'])");
const WIDER = events(
  "dealId: z.string(), stage: z.enum(['won', 'lost']), note: z.string().optional()",
);

describe('tidegate contracts', function () {
  this.timeout(120_000);
  let root: string;
  let project: string;

  /** A project in a folder of its repository, that finds tidegate and zod as an installed one does. */
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tidegate-contracts-'));
    project = join(root, 'flows of acme');
    mkdirSync(join(project, 'flows'), { recursive: true });
    mkdirSync(join(root, 'node_modules'));
    symlinkSync(repositoryRoot, join(root, 'node_modules/tidegate'));
    symlinkSync(join(repositoryRoot, 'node_modules/zod'), join(root, 'node_modules/zod'));
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(join(root, '.gitignore'), 'node_modules\n');
    writeFileSync(join(project, 'flows/index.ts'), 'export {};\n');
    writeEvents(RELEASED);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const writeEvents = (text: string): void => writeFileSync(join(project, 'events.ts'), text);

  const tidegate = (...args: readonly string[]): Promise<Ended> =>
    new Promise((resolve) => {
      const main = join(repositoryRoot, 'src/cli/main.ts');
      const node = ['--conditions=tidegate-source', '--import', 'tsx', main, 'contracts', ...args];
      // tsx is found from where node starts.
      execFile(process.execPath, node, { cwd: repositoryRoot }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });

  function git(...args: readonly string[]): string {
    const who = [
      '-c',
      'user.name=Ada',
      '-c',
      'user.email=ada@acme.example',
      '-c',
      'commit.gpgsign=false',
    ];
    return execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8' }).trim();
  }

  async function commitRelease(): Promise<void> {
    git('init', '--quiet', '--initial-branch=main');
    assert.equal((await tidegate('release', project)).code, 0);
    git('add', '.');
    git('commit', '--quiet', '--message=first');
  }

  it('check names type, version, path, what was and what is, and ends with 1', async () => {
    await commitRelease();
    writeEvents(BROKEN);
    const { code, stdout, stderr } = await tidegate('check', project);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /BREAKING deal\.closed version 1, data\.stage: values was \["won","lost"\], is \["won"\] \(senders\)/,
    );
    assert.match(stdout, /HEAD, because there is no merge base with origin\/main/);
    assert.match(stderr, /1 of 1 changes .*\[contracts_broken\]/);
  });

  it('check ends with 0 when nothing breaks, and says what has changed', async () => {
    await commitRelease();
    const same = await tidegate('check', project);
    assert.equal(same.code, 0, same.stderr);
    assert.match(same.stdout, /no change/);
    writeEvents(WIDER);
    const wider = await tidegate('check', project);
    assert.equal(wider.code, 0, wider.stderr);
    assert.match(
      wider.stdout,
      /compatible deal\.closed version 1, data\.note: field was not named/,
    );
  });

  it('check sees through a release on the branch: it compares with where the branch began', async () => {
    await commitRelease();
    git('update-ref', 'refs/remotes/origin/main', 'HEAD');
    writeEvents(BROKEN);
    await tidegate('release', project);
    git('commit', '--quiet', '--all', '--message=released a break');
    const { code, stdout } = await tidegate('check', project);
    assert.equal(code, 1);
    assert.match(stdout, /the merge base with origin\/main/);
    const withItself = await tidegate('check', project, '--against', 'HEAD');
    assert.equal(withItself.code, 0, withItself.stderr);
    assert.equal((await tidegate('check', project, '--against', 'HEAD~1')).code, 1);
  });

  it('check refuses a ref that does not exist, and one that is an option in disguise', async () => {
    await commitRelease();
    for (const ref of ['no-such-branch', '--all']) {
      const { code, stderr } = await tidegate('check', project, `--against=${ref}`);
      assert.equal(code, 1);
      assert.match(stderr, /git knows no commit .*\[contracts_lock_invalid\]/);
    }
  });

  it('check without git compares with the file on disk', async () => {
    assert.match((await tidegate('check', project)).stdout, /no released contracts/);
    assert.equal((await tidegate('release', project)).code, 0);
    assert.ok(existsSync(join(project, 'contracts.lock.json')));
    writeEvents(BROKEN);
    const { code, stdout } = await tidegate('check', project);
    assert.equal(code, 1);
    assert.match(stdout, /on disk, because this is not a git repository/);
  });

  it('check says that nothing is released where the ref has no such file, and ends with 0', async () => {
    git('init', '--quiet', '--initial-branch=main');
    git('add', '.');
    git('commit', '--quiet', '--message=first');
    const { code, stdout } = await tidegate('check', project);
    assert.equal(code, 0);
    assert.match(stdout, /There are no released contracts in contracts\.lock\.json of [\da-f]{12}/);
  });

  it('check refuses a lock that somebody has edited by hand', async () => {
    await commitRelease();
    writeFileSync(join(project, 'contracts.lock.json'), '{"lockVersion":1}');
    git('commit', '--quiet', '--all', '--message=edited');
    const { code, stderr } = await tidegate('check', project);
    assert.equal(code, 1);
    assert.match(stderr, /is not what tidegate contracts release writes/);
  });

  it('release writes the same file again when nothing has changed', async () => {
    await tidegate('release', project);
    const first = readFileSync(join(project, 'contracts.lock.json'), 'utf8');
    await tidegate('release', project);
    assert.equal(readFileSync(join(project, 'contracts.lock.json'), 'utf8'), first);
  });

  it('says how it is used when it is asked for something else', async () => {
    assert.equal((await tidegate('publish')).code, 2);
    const help = await tidegate('--help');
    assert.equal(help.code, 0);
    assert.match(help.stdout, /tidegate contracts <check\|release>/);
  });
});
