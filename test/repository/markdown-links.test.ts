import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, it } from 'mocha';
import { readText, repositoryFiles, repositoryRoot } from './files.ts';

const fencedBlock = /^(```|~~~)[\s\S]*?^\1/gm;
const inlineLink = /!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)/g;
const htmlLink = /(?:src|href)="([^"]+)"/g;
const outside = /^(https?:|mailto:)/;

interface Link {
  readonly path: string;
  readonly target: string;
}

function linksOf(path: string): readonly Link[] {
  const text = readText(path)
    .replaceAll(fencedBlock, '')
    .replaceAll(/`[^`\n]*`/g, '');
  return [...text.matchAll(inlineLink), ...text.matchAll(htmlLink)]
    .map(([, target = '']) => ({ path, target }))
    .filter(({ target }) => !outside.test(target));
}

function resolves({ path, target }: Link): boolean {
  const [file = '', anchor] = target.split('#');
  const wanted = file === '' ? path : posix.join(posix.dirname(path), decodeURIComponent(file));
  if (!existsSync(join(repositoryRoot, wanted))) return false;
  return anchor === undefined || !wanted.endsWith('.md') || anchorsOf(wanted).includes(anchor);
}

/** As GitHub makes them: lower case, spaces to dashes, punctuation dropped. */
function anchorsOf(path: string): readonly string[] {
  const headings = readText(path)
    .replaceAll(fencedBlock, '')
    .matchAll(/^#{1,6} +(.*)$/gm);
  return [...headings].map(([, title = '']) =>
    title
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the documents', () => {
  it('link only to files and headings that exist', () => {
    const links = repositoryFiles()
      .filter((path) => path.endsWith('.md'))
      .flatMap(linksOf);
    const broken = links.filter((link) => !resolves(link));
    assert.deepEqual(
      broken.map(({ path, target }) => `${path} → ${target}`),
      [],
    );
  });
});
