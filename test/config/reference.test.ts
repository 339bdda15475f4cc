import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { FILE_VARIABLES, readConfig } from '../../src/config.ts';
import { configVariable } from '../../src/connectors/connector-config.ts';
import { httpConnector, slackConnector } from '../../src/connectors/index.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { TASK_QUEUE } from '../../src/model/protocol.ts';
import { readText, repositoryFiles } from '../repository/files.ts';

const page =
  readText('docs/reference/configuration.md').split('## Scripts of this repository')[0] ?? '';

interface Row {
  readonly variable: string;
  readonly hasFile: boolean;
  readonly is: string;
  readonly default: string;
  readonly readBy: readonly string[];
}

const rows: readonly Row[] = [
  ...page.matchAll(
    /^\| `([A-Z_]+)`( \[`_FILE`\]\(#secrets-in-files\))? \| ([^|]+) \| ([^|]+) \| ([^|]+) \| .+ \|$/gm,
  ),
].map(([, variable = '', file, is = '', fallback = '', readBy = '']) => ({
  variable,
  hasFile: file !== undefined,
  is,
  default: fallback,
  readBy: readBy.split(', '),
}));

/** A source file without its comments. */
const codeOf = (path: string): string =>
  readText(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '');

/** Variables that code names: everything that looks like one, for there is nothing else of that look. */
const named = (text: string): readonly string[] => [
  ...new Set(
    text.match(/\b(?:TIDEGATE|TEMPORAL|METRICS|LOG|DATABASE|XDG|HOST|PORT)(?:_[A-Z]+)*\b/g),
  ),
];
const NO_VARIABLES = new Set(['LOG_LEVELS', 'TIDEGATE', 'LOG', 'TEMPORAL']);

const inCode = named(
  repositoryFiles()
    .filter((path) => path.startsWith('src/') && path.endsWith('.ts'))
    .map(codeOf)
    .join('\n'),
).filter((name) => !NO_VARIABLES.has(name) && !name.endsWith('_FILE'));

/** What Temporal's own reader of the environment knows. */
function ofTemporal(): string {
  const entry = createRequire(import.meta.url).resolve('@temporalio/envconfig');
  const folder = join(entry, '..');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
}

describe('docs/reference/configuration.md', () => {
  it('has every variable that a process reads', () => {
    assert.ok(inCode.length > 30);
    assert.deepEqual(
      inCode.filter((name) => !page.includes(`\`${name}\``)),
      [],
    );
    const ofConnectors = [httpConnector, slackConnector].flatMap(({ name, config }) =>
      Object.keys(config.shape).map((field) => configVariable(name, field)),
    );
    assert.deepEqual(
      ofConnectors.filter((name) => !page.includes(`\`${name}\``)),
      [],
    );
  });

  it('has no variable that nothing reads', () => {
    const known = `${inCode.join(' ')} ${ofTemporal()}`;
    const rest = [...page.matchAll(/^\| `([A-Z_]+)`/gm)]
      .map(([, name = '']) => name)
      .filter((name) => !/^TIDEGATE_(HTTP|SLACK|SOURCE)_/.test(name))
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(known));
    assert.deepEqual(rest, []);
  });

  it('says of each what it is, its default and who reads it', () => {
    const variables = rows.map(({ variable }) => variable);
    assert.equal(new Set(variables).size, variables.length);
    // TEMPORAL_ADDRESS and its like are Temporal's, in a table of their own.
    const missing = inCode.filter((name) => !variables.includes(name));
    assert.deepEqual(
      missing.filter((name) => !new RegExp(`\\b${name}\\b`).test(ofTemporal())),
      [],
    );
    for (const { variable, readBy } of rows) {
      const strange = readBy.filter((name) => !/^(dev|ingress|worker|keys)$/.test(name));
      assert.deepEqual(strange, [], variable);
    }
  });

  it('says which can be files', () => {
    assert.deepEqual(
      rows
        .filter(({ hasFile }) => hasFile)
        .map(({ variable }) => variable)
        .sort(),
      [...FILE_VARIABLES, 'TIDEGATE_ENCRYPTION_KEYS'].sort(),
    );
  });

  it('has the defaults that the processes have', () => {
    // What others need, so that none is refused for the lack of it.
    const base = {
      TIDEGATE_JWT_ISSUER: 'https://login.example.com',
      TIDEGATE_JWT_AUDIENCE: 'tidegate',
      TEMPORAL_WORKER_BUILD_ID: '1',
    };
    // These are left to whoever uses them.
    const later: Readonly<Record<string, string>> = {
      TIDEGATE_TASK_QUEUE: TASK_QUEUE,
      TIDEGATE_SHED_BACKLOG: [
        LIMITS.backlogLowDeliveries,
        LIMITS.backlogNormalDeliveries,
        LIMITS.backlogHighDeliveries,
      ].join(),
      TIDEGATE_WORKER_OPERATIONS: '200',
      XDG_CACHE_HOME: '~/.cache',
      TIDEGATE_JWT_JWKS_URL: '<issuer>/.well-known/jwks.json',
    };
    let compared = 0;
    for (const { variable, default: text } of rows) {
      const fallback = /^`([^`]+)`(?:$|: )/.exec(text)?.[1];
      if (fallback === undefined || fallback === 'dev') continue;
      compared += 1;
      if (later[variable] !== undefined) {
        assert.equal(fallback, later[variable], variable);
        continue;
      }
      assert.deepEqual(readConfig({ ...base, [variable]: fallback }), readConfig(base), variable);
    }
    assert.ok(compared >= 15, `${compared} defaults`);
  });
});
