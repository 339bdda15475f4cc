import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { type PackageJson, readJson, repositoryFiles, repositoryRoot } from './files.ts';

const packageJson = readJson<PackageJson>('package.json');
const entries = Object.keys(packageJson.exports).map((entry) => entry.replace('./', 'tidegate/'));

describe('the package that npm publishes', function () {
  this.timeout(180_000);
  let folder: string;
  let packed: readonly string[];

  // Packs a copy of the repository, so that nobody's dist/ is rebuilt under a running process.
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidegate-package-'));
    const copy = join(folder, 'copy');
    for (const path of repositoryFiles()) {
      mkdirSync(join(copy, dirname(path)), { recursive: true });
      cpSync(join(repositoryRoot, path), join(copy, path));
    }
    symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'));
    run(copy, 'npm', ['pack', '--pack-destination', folder]);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    const project = join(folder, 'project');
    install(join(folder, tarball), project);
    packed = run(folder, 'tar', ['-tzf', tarball])
      .split('\n')
      .filter((path) => path !== '')
      .map((path) => path.replace('package/', ''));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('holds the build, what a reader needs first, and nothing else', () => {
    const beside = packed.filter((path) => !path.startsWith('dist/'));
    assert.deepEqual(beside.toSorted(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'package.json',
    ]);
    const strange = packed.filter(
      (path) => path.startsWith('dist/') && !/\.(js|d\.ts)$/.test(path),
    );
    assert.deepEqual(strange, []);
  });

  it('gives each of its entries to a project that installed it', () => {
    const script = `for (const entry of ${JSON.stringify(entries)}) console.log(Object.keys(await import(entry)).length > 0);`;
    writeFileSync(join(folder, 'project/probe.mjs'), script);
    const output = run(join(folder, 'project'), process.execPath, ['probe.mjs']);
    assert.deepEqual(
      output.trim().split('\n'),
      entries.map(() => 'true'),
    );
  });

  it('gives the types of each of its entries', () => {
    const lines = entries.map((entry, index) => `export * as entry${index} from '${entry}';`);
    const project = join(folder, 'project');
    writeFileSync(join(project, 'probe.mts'), lines.join('\n'));
    const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc');
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node'];
    run(project, process.execPath, [tsc, ...options, '--skipLibCheck', 'probe.mts']);
  });

  it('bundles the flows of a project that installed it', () => {
    const project = join(folder, 'project');
    mkdirSync(join(project, 'flows'));
    writeFileSync(
      join(project, 'flows/index.ts'),
      "import { flowsFor } from 'tidegate/flow';\nconst flow = flowsFor<never>();\n" +
        "export const greet = flow({ on: 'user.created' as never, run: async () => {} });\n",
    );
    writeFileSync(
      join(project, 'bundle.mjs'),
      "import { bundleFlows } from 'tidegate/worker';\n" +
        'const logger = { debug() {}, warn: console.error, error: console.error };\n' +
        'const { code } = await bundleFlows(import.meta.dirname + "/flows/index.ts", logger);\n' +
        'console.log(/greet/.test(code), /tidegate-source|\\/src\\/workflows\\//.test(code));\n',
    );
    assert.equal(run(project, process.execPath, ['bundle.mjs']), 'true false\n');
  });

  it('brings the command tidegate, which says how it is used', () => {
    const project = join(folder, 'project');
    const command = join(project, 'node_modules/tidegate/dist/cli/main.js');
    assert.match(run(project, process.execPath, [command, '--help']), /^tidegate <command>/);
  });
});

/** As npm would, without a network: the tarball beside links to our own packages. */
function install(tarball: string, project: string): void {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, 'tidegate'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  run(project, 'tar', ['-xzf', tarball, '-C', join(modules, 'tidegate'), '--strip-components=1']);
  for (const name of readdirSync(join(repositoryRoot, 'node_modules')))
    if (!name.startsWith('.'))
      symlinkSync(join(repositoryRoot, 'node_modules', name), join(modules, name));
}

/** What a command printed on stdout; fails with all that it printed when it fails. */
function run(cwd: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 150_000,
  });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}
