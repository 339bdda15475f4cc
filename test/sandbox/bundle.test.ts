import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { bundleFlows } from '../../src/worker.ts';
import { silent } from '../support/engine.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Node modules that Temporal's SDK allows, by its own replacements. */
const REPLACED = ['assert', 'url', 'util'];

/** What a module can remember between runs: a variable, or a collection that is not declared read-only. */
const STATE =
  /^(?:export )?(?:let |var |const \w+(?:: (?!Readonly)[^=]*)? = new (?:Weak)?(?:Map|Set)\b)/m;

const codeOf = async (path: string): Promise<string> =>
  (await bundleFlows(`${root}${path}`, silent)).code;

/** The files that went into the bundle of a file, from the source map that it carries. */
function sourcesIn(code: string): readonly string[] {
  const map = /sourceMappingURL=data:application\/json[^,]*,(\S+)/.exec(code)?.[1];
  assert.ok(map !== undefined, 'the bundle carries its source map');
  return (JSON.parse(Buffer.from(map, 'base64').toString()) as { sources: string[] }).sources;
}

const zodIn = (sources: readonly string[]): readonly string[] =>
  sources.filter((source) => source.includes('node_modules/zod/'));

const builtinsIn = (sources: readonly string[]): readonly string[] =>
  builtinModules
    .filter((name) => !REPLACED.includes(name))
    .filter((name) =>
      sources.some((source) => source === `external "${name}"` || source.endsWith(`node:${name}`)),
    );

describe('the workflow bundle of a project', () => {
  let code: string;
  let sources: readonly string[];

  before(async function () {
    this.timeout(60_000);
    code = await codeOf('examples/acme/flows/index.ts');
    sources = sourcesIn(code);
  });

  it('contains no zod: each cached workflow would evaluate and keep its own copy', () => {
    assert.deepEqual(zodIn(sources), []);
  });

  it('contains no Node built-in but those that the SDK replaces', () => {
    assert.deepEqual(builtinsIn(sources), []);
  });

  it('contains of our source the workflows and the model, and nothing else', () => {
    const folders = new Set(
      sources
        .filter((source) => source.startsWith(`${root}src/`))
        .map((source) => source.slice(root.length).split('/').slice(0, 2).join('/')),
    );
    assert.deepEqual([...folders].sort(), ['src/model', 'src/workflows']);
  });

  it('shares the engine between runs: an AsyncLocalStorage of its own in each makes every run dearer', () => {
    const preloaded = /function preloadModules\(\) \{([^}]*)\}/.exec(code)?.[1];
    assert.match(String(preloaded), /src\/workflows\/index\.ts/);
  });

  it('shares an engine that keeps no state in its modules', () => {
    const engine = sources.filter((source) => source.startsWith(`${root}src/`));
    const stateful = engine.filter((source) => STATE.test(readFileSync(source, 'utf8')));
    assert.ok(engine.length > 30);
    assert.deepEqual(stateful, []);
  });

  it('is checked by something that would notice zod', async function () {
    this.timeout(60_000);
    assert.notDeepEqual(zodIn(sourcesIn(await codeOf('test/sandbox/fixtures/leaky.ts'))), []);
  });
});
