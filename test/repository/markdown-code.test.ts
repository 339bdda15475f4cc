import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'mocha';
import { type CodeBlock, codeBlocks, dedent } from './code-blocks.ts';
import { readText, repositoryFiles, repositoryRoot } from './files.ts';

const blocks = repositoryFiles()
  .filter((path) => path === 'README.md' || /^docs\/.*\.md$/.test(path))
  .flatMap((path) => codeBlocks(path, readText(path)));

// In the repository, where `tidegate/…` means this package; ignored by git.
const workFolder = join(repositoryRoot, '.tidegate');

describe('the TypeScript in README.md and docs', () => {
  it('stands word for word in the file that its fence names', () => {
    const stale = blocks.filter(
      ({ file, code }) => file !== undefined && !dedent(readText(file)).includes(dedent(code)),
    );
    assert.deepEqual(stale.map(placeOf), []);
  });

  it('compiles', () => {
    const output = compile(blocks.filter(({ file }) => file === undefined));
    assert.equal(output, '');
  }).timeout(60_000);

  it('would be refused with a mistake in it, and may import as from a folder of the repository', () => {
    const text = [
      'Some words.',
      '```ts in=examples/acme/flows',
      "import type { events } from '../events';",
      'export const types: number = {} as typeof events;',
      '```',
    ].join('\n');
    const output = compile(codeBlocks('docs/wrong.md', text));
    assert.match(output, /docs-wrong-md-line-2\.ts\(2,14\): error TS2322/);
    assert.doesNotMatch(output, /TS2307/);
  }).timeout(60_000);

  it('is refused with a word on its fence that means nothing', () => {
    const text = '```ts no-check\nconst a = 1;\n```';
    assert.throws(() => codeBlocks('docs/wrong.md', text), /docs\/wrong\.md:1: .* not no-check/);
  });
});

/** What tsc has to say, or nothing. */
function compile(loose: readonly CodeBlock[]): string {
  mkdirSync(workFolder, { recursive: true });
  const folder = mkdtempSync(join(workFolder, 'code-blocks-'));
  try {
    for (const block of loose) writeBlock(folder, block);
    writeFileSync(join(folder, 'anchor.ts'), 'export {};\n');
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(configuration));
    const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder], {
      cwd: folder,
      encoding: 'utf8',
    });
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const configuration = {
  extends: '../../tsconfig.json',
  // Lets a block that stands `in=examples/acme/flows` import './connectors' from there.
  compilerOptions: { rootDirs: ['.', '../..'], noUnusedLocals: false, noUnusedParameters: false },
  // One file of our own, since tsc refuses a project without any.
  files: ['anchor.ts'],
  include: ['.'],
};

function writeBlock(folder: string, block: CodeBlock): void {
  const name = `${block.path.replaceAll(/[/.]/g, '-')}-line-${block.line}.ts`;
  const path = join(folder, block.folder ?? '', name);
  mkdirSync(dirname(path), { recursive: true });
  // `export {}` makes each block a module of its own, whatever it says.
  writeFileSync(path, `${block.code}\nexport {};\n`);
}

const placeOf = ({ path, line, file }: CodeBlock): string => `${path}:${line} is not in ${file}`;
