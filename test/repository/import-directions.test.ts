import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { readText, repositoryRoot } from './files.ts';

/** A repository in small, in which every import is allowed. */
const allowed: Readonly<Record<string, string>> = {
  'package.json': readText('package.json'),
  'tsconfig.json': '{ "compilerOptions": { "module": "Preserve" }, "include": ["."] }',
  ...fakePackage('zod'),
  ...fakePackage('pg'),
  ...fakePackage('mocha'),
  ...fakePackage('@temporalio/workflow'),
  'src/model/event.ts': 'export const event = 1;',
  'src/config.ts': 'export const config = 1;',
  'src/temporal.ts': 'export const temporal = 1;',
  'src/workflows/index.ts':
    "import * as temporal from '@temporalio/workflow';\nimport type { journal } from '../journal/open.ts';\n" +
    "import { event } from '../model/event.ts';\nexport const flow = { temporal, event } as { journal?: typeof journal };",
  'src/contracts/index.ts': "import * as zod from 'zod';\nexport const contracts = zod;",
  'src/connectors/index.ts': "export { event } from '../model/event.ts';",
  'src/journal/open.ts': "import * as pg from 'pg';\nexport const journal = pg;",
  'src/activities/run.ts': "export { journal } from '../journal/open.ts';",
  'src/dispatch/dispatcher.ts': "export { temporal } from '../temporal.ts';",
  'src/access/caller.ts': "export { event as caller } from '../model/event.ts';",
  'src/operator/router.ts':
    "export { journal } from '../journal/open.ts';\nexport { caller } from '../access/caller.ts';",
  'src/ingress/index.ts': "export { contracts } from '../contracts/index.ts';",
  'src/approvals/token.ts': 'export const token = 1;',
  'src/approvals/router.ts':
    "export { decide } from '../operator/take-decision.ts';\nexport { token } from './token.ts';",
  'src/operator/take-decision.ts': 'export const decide = 1;',
  'src/ingress/main.ts':
    "export { dispatcher } from '../dispatch/dispatcher.ts';\nexport { operator } from '../operator/router.ts';\n" +
    "export { decide } from '../approvals/router.ts';\nexport { document } from '../openapi/document.ts';",
  'src/openapi/document.ts': "export { operator } from '../operator/router.ts';",
  'src/worker.ts': "export { run } from './activities/run.ts';",
  'src/cli/main.ts':
    "export { config } from '../config.ts';\nexport { main } from '../ingress/main.ts';",
  'test/flow.test.ts':
    "import 'mocha';\nimport { flow } from '../src/workflows/index.ts';\nconsole.log(flow);",
  'examples/acme/events.ts': "export { contracts as events } from 'tidegate/contracts';",
  'examples/acme/flows/digest.ts':
    "import type { events } from '../events';\nexport { flow } from 'tidegate/flow';\nexport type Events = typeof events;",
};

/** An import added to a file, and the rule that must refuse it. */
const forbidden: readonly (readonly [file: string, specifier: string, rule: string])[] = [
  ['src/model/event.ts', '../journal/open.ts', 'model-imports'],
  ['src/model/event.ts', 'node:crypto', 'model-is-pure'],
  ['src/model/event.ts', 'zod', 'model-is-pure'],
  ['src/workflows/index.ts', 'zod', 'workflows-are-sandboxed'],
  ['src/workflows/index.ts', 'node:crypto', 'workflows-are-sandboxed'],
  ['src/workflows/index.ts', '../journal/open.ts', 'workflows-are-sandboxed'],
  ['src/contracts/index.ts', '../journal/open.ts', 'contracts-imports'],
  ['src/connectors/index.ts', '../journal/open.ts', 'connectors-imports'],
  ['src/journal/open.ts', '../dispatch/dispatcher.ts', 'journal-imports'],
  ['src/activities/run.ts', '../contracts/index.ts', 'activities-imports'],
  ['src/activities/run.ts', '../approvals/router.ts', 'activities-imports'],
  ['src/approvals/router.ts', '../operator/router.ts', 'approvals-imports'],
  ['src/access/caller.ts', '../ingress/index.ts', 'access-imports'],
  ['src/dispatch/dispatcher.ts', '../connectors/index.ts', 'dispatch-imports'],
  ['src/ingress/index.ts', '../operator/router.ts', 'ingress-imports'],
  ['src/operator/router.ts', '../contracts/index.ts', 'operator-imports'],
  ['src/openapi/document.ts', '../ingress/index.ts', 'openapi-imports'],
  ['src/operator/router.ts', '../config.ts', 'only-roots-read-configuration'],
  ['src/operator/router.ts', '../../test/flow.test.ts', 'sources-stand-alone'],
  ['src/journal/open.ts', 'mocha', 'no-development-packages'],
  ['src/journal/open.ts', './nowhere.ts', 'resolvable'],
  ['examples/acme/events.ts', '../../src/contracts/index.ts', 'examples-are-user-projects'],
  ['examples/acme/events.ts', 'pg', 'examples-use-zod-only'],
  ['examples/acme/flows/digest.ts', '../events', 'flows-are-sandboxed'],
  ['examples/acme/flows/digest.ts', 'tidegate/contracts', 'flows-are-sandboxed'],
];

describe('the import directions', () => {
  let folder: string;
  let found: readonly Violation[];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidegate-imports-'));
    writeFiles(folder, allowed);
    assert.deepEqual(violations(folder), [], 'what the layers are for is allowed');
    for (const [file, specifier] of forbidden)
      appendFileSync(join(folder, file), `\nimport '${specifier}';`);
    writeFileSync(join(folder, 'src/journal/left-over.ts'), "import './open.ts';");
    appendFileSync(join(folder, 'src/cli/main.ts'), "\nimport './command.ts';");
    writeFileSync(join(folder, 'src/cli/command.ts'), "import './main.ts';");
    found = violations(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [file, specifier, rule] of forbidden) {
    it(`refuse ${specifier} in ${file}`, () => {
      const target = specifier.replace(/^((\.\.?\/)+|node:|tidegate\/)/, '');
      const refused = found.filter(({ from, to }) => from === file && to.includes(target));
      assert.ok(
        refused.some((violation) => violation.rule === rule),
        JSON.stringify(found),
      );
    });
  }

  it('refuse two files that need each other', () => {
    const cycles = found.filter(({ rule, from }) => rule === 'no-cycles' && from.includes('/cli/'));
    assert.equal(cycles.length, 1);
  });

  it('refuse a file that no entry reaches', () => {
    const dead = found.filter(({ rule }) => rule === 'no-orphans').map(({ to }) => to);
    assert.deepEqual([...new Set(dead)], ['src/journal/left-over.ts']);
  });
});

interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

function violations(folder: string): readonly Violation[] {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(repositoryRoot, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      ...['--config', join(repositoryRoot, '.dependency-cruiser.cjs'), '--output-type', 'json'],
      ...['src', 'examples', 'test'],
    ],
    { cwd: folder, encoding: 'utf8' },
  );
  assert.notEqual(stdout, '', stderr);
  const { summary } = JSON.parse(stdout) as {
    readonly summary: {
      readonly violations: readonly {
        readonly from: string;
        readonly to: string;
        readonly rule: { readonly name: string };
      }[];
    };
  };
  return summary.violations.map(({ from, to, rule }) => ({ rule: rule.name, from, to }));
}

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function fakePackage(name: string): Readonly<Record<string, string>> {
  return {
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, main: 'index.js' }),
    [`node_modules/${name}/index.js`]: '',
  };
}
