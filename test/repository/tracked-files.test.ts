import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { readText, repositoryFiles } from './files.ts';

const binaryFile = /\.(png|jpg|gif|ico|woff2?|gz|wasm)$/;

function linesMatching(pattern: RegExp): readonly string[] {
  return repositoryFiles()
    .filter((path) => !binaryFile.test(path))
    .flatMap((path) =>
      readText(path)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
    );
}

describe('the files of the repository', () => {
  it('name no package registry, so that each machine uses its own', () => {
    assert.deepEqual(
      linesMatching(/registry\.(npmjs|yarnpkg|npmmirror)\.|proxy\.golang\.|npm\.pkg\.github\./),
      [],
    );
  });

  it("name no path of anybody's machine", () => {
    assert.deepEqual(
      linesMatching(
        /(^|[\s'"`=(:])(\/(home|Users)\/[\w.-]+\/|\/root\/|\/work\/\w|[A-Z]:\\Users\\)/,
      ),
      [],
    );
  });

  it('hold no credential', () => {
    const shapes = [
      '-----BEGIN [A-Z ]*PRIVATE KEY-----',
      'AKIA[0-9A-Z]{16}',
      'gh[pousr]_[A-Za-z0-9]{36}',
      'github_pat_[A-Za-z0-9_]{50,}',
      'xox[abeprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}',
      'hooks\\.slack\\.com/services/T[A-Z0-9]{8,}',
      '[sr]k_live_[A-Za-z0-9]{16,}',
      'tg_[0-9a-f]{16}_[0-9a-f]{72}',
      'https?://[^/\\s:@"\'`$<]+:[^/\\s:@"\'`$<]+@(?!([\\w-]+\\.)*example\\.)',
      '_authToken',
    ];
    // This file shows the shapes themselves.
    const findings = linesMatching(new RegExp(shapes.join('|')));
    assert.deepEqual(
      findings.filter((place) => !place.startsWith('test/repository/tracked-files.test.ts:')),
      [],
    );
  });

  it('leave no test skipped and none run alone', () => {
    const pattern = /\b(describe|it|context)\.(only|skip)\(|\b(xit|xdescribe)\(/;
    assert.deepEqual(
      linesMatching(pattern).filter((place) => place.startsWith('test/')),
      [],
    );
  });
});
