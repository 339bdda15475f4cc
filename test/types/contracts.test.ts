import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'mocha';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SNIPPET = `${ROOT}test/types/snippet.ts`;

/** What the compiler says of a snippet, with this repository's own options. */
function diagnosticsOf(snippet: string): string {
  const config = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === SNIPPET || fileExists.call(host, name);
  host.getSourceFile = (name, languageVersion, ...rest) =>
    name === SNIPPET
      ? ts.createSourceFile(name, snippet, languageVersion)
      : getSourceFile.call(host, name, languageVersion, ...rest);
  const program = ts.createProgram([SNIPPET], { ...options, noEmit: true, types: ['node'] }, host);
  return program
    .getSemanticDiagnostics(program.getSourceFile(SNIPPET))
    .map((diagnostic) => ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    .join('\n');
}

const IMPORTS = `import { defineEvents } from 'tidegate/contracts';\nimport { z } from 'zod';\n`;

describe('The compiler, of a contract', () => {
  it('says in words that a schema must not transform', function () {
    this.timeout(120_000);
    const said = diagnosticsOf(
      `${IMPORTS}defineEvents({ 'a.b': z.object({ at: z.string().default('x') }) });`,
    );
    assert.match(said, /schema must not transform: put the mapping in the source/);
  });

  it('says so of a versioned definition too, and that data must be JSON', function () {
    this.timeout(120_000);
    const said = diagnosticsOf(
      `${IMPORTS}defineEvents({
        'a.b': { version: 1, data: z.object({ at: z.coerce.number() }) },
        'c.d': z.object({ at: z.date() }),
        'e.f': z.object({ at: z.iso.datetime() }),
      });`,
    );
    assert.match(said, /schema must not transform: put the mapping in the source/);
    assert.match(said, /schema must be JSON/);
    assert.equal(said.split('\n').filter((line) => line.includes("'e.f'")).length, 0);
  });
});
