// The import directions of ARCHITECTURE.md. `npm run check` and `npm test` hold the code to them.

/** Values from anywhere but the places named; a type costs nothing at run time and is let through. */
const values = { dependencyTypesNot: ['type-only'] };

/** Files of a layer may import files of src only from these places. */
function layer(name, allowed, comment) {
  return {
    name: `${name}-imports`,
    comment,
    severity: 'error',
    from: { path: `^src/${name}/`, pathNot: compositionRoots },
    to: { path: '^src/', pathNot: [`^src/${name}/`, ...allowed.map((place) => `^src/${place}`)] },
  };
}

// They put the parts together, so they may import any of them.
const compositionRoots = ['^src/cli/', '^src/worker\\.ts$', '^src/ingress/main\\.ts$'];
// Small files without a layer, about a process rather than about events.
const processFiles = ['repeat\\.ts$', 'telemetry\\.ts$', 'http/'];
// Layers that read secrets of their own: their variables are named after connectors and sources.
const secretVariable = 'secret-variable\\.ts$';

// What npm publishes as entries, the command, and what Temporal loads by its path.
const entries = Object.values(require('./package.json').exports)
  .map((conditions) => conditions['tidegate-source'].slice(2))
  .concat(
    'src/cli/main.ts',
    'src/encryption/failure-converter.ts',
    'src/workflows/worker-versioning-on.ts',
  )
  .map((file) => `^${file.replaceAll('.', '\\.')}$`);

module.exports = {
  forbidden: [
    layer('model', [], 'model is shared by every process and the sandbox: it imports nothing.'),
    {
      name: 'model-is-pure',
      comment: 'model runs in the sandbox too: no package and no Node module.',
      severity: 'error',
      from: { path: '^src/model/' },
      to: { pathNot: '^src/' },
    },
    {
      name: 'workflows-are-sandboxed',
      comment: 'workflow code takes values only from model and @temporalio/workflow.',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: {
        ...values,
        pathNot: ['^src/(model|workflows)/', '^node_modules/@temporalio/workflow/'],
      },
    },
    layer('contracts', ['model/'], 'contracts know event shapes and nothing of how they travel.'),
    layer('connectors', ['model/', secretVariable], 'connectors know one outside system each.'),
    layer('journal', ['model/', ...processFiles], 'the journal stores; it decides nothing.'),
    layer(
      'encryption',
      ['model/', 'journal/sealing\\.ts$', secretVariable],
      'encryption knows bytes and keys; processes hand it to the journal and to Temporal.',
    ),
    layer(
      'activities',
      ['model/', 'connectors/', 'journal/', 'approvals/token\\.ts$', ...processFiles],
      'activities run operations and write the journal.',
    ),
    layer(
      'dataref',
      ['model/', 'journal/'],
      'payloads with data by reference; processes hand the codec to Temporal.',
    ),
    layer(
      'access',
      ['model/', 'journal/', ...processFiles],
      'access says who calls and what they may do, whatever they call.',
    ),
    layer(
      'ingress',
      [
        'model/',
        'access/',
        'contracts/',
        'journal/',
        'temporal\\.ts$',
        'search-attributes\\.ts$',
        secretVariable,
        ...processFiles,
      ],
      'the ingress never waits for a flow: it writes the journal.',
    ),
    layer(
      'dispatch',
      ['model/', 'contracts/', 'journal/', 'temporal\\.ts$', ...processFiles],
      'the dispatcher knows the journal and Temporal.',
    ),
    layer(
      'operator',
      ['model/', 'access/', 'journal/', 'temporal\\.ts$', ...processFiles],
      'the operator API knows the journal and Temporal.',
    ),
    layer(
      'approvals',
      ['model/', 'journal/', 'operator/(run-operations|take-decision)\\.ts$', ...processFiles],
      'the approval page reads the journal and hands answers over like the operator API.',
    ),
    layer(
      'openapi',
      ['model/', 'access/', 'operator/', ...processFiles],
      'the document says what routes answer, by the schemas that they use.',
    ),
    layer(
      'metrics',
      ['model/', 'access/', 'activities/', 'dispatch/', 'ingress/', 'journal/', ...processFiles],
      'metrics read the numbers that others keep.',
    ),
    layer('console', ['model/', 'operator/', ...processFiles], 'pages read the operator API only.'),
    {
      name: 'only-roots-read-configuration',
      comment: 'configuration is read at a composition root and handed on as arguments.',
      severity: 'error',
      from: { path: '^src/', pathNot: [...compositionRoots, '^src/config\\.ts$'] },
      to: { ...values, path: ['^src/config(-variables)?\\.ts$', ...compositionRoots] },
    },
    {
      name: 'sources-stand-alone',
      comment: 'what is published imports neither tests, nor examples, nor benchmarks.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|examples|bench|scripts|dist)/' },
    },
    {
      name: 'examples-are-user-projects',
      comment:
        "an example imports what a user's project can: tidegate by name, zod, its own files.",
      severity: 'error',
      from: { path: '^examples/([^/]+)/' },
      // Tidegate's own files by path; by name they count as neither local nor npm.
      to: {
        path: '^(src|test|bench|scripts|dist|examples)/',
        pathNot: '^examples/$1/',
        dependencyTypes: ['local'],
      },
    },
    {
      name: 'examples-use-zod-only',
      comment: 'an example needs no package but tidegate and zod.',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^node_modules/', pathNot: '^node_modules/zod/' },
    },
    {
      name: 'flows-are-sandboxed',
      comment: 'a flow takes values only from tidegate/flow and from files beside it.',
      severity: 'error',
      from: { path: '^examples/([^/]+)/flows/' },
      to: { ...values, pathNot: ['^examples/$1/flows/', '^src/workflows/index\\.ts$'] },
    },
    {
      name: 'no-cycles',
      comment: 'modules that need each other are one module, or share a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'a file that no entry reaches is dead.',
      severity: 'error',
      from: { path: entries },
      to: { path: '^src/', pathNot: entries, reachable: false },
    },
    {
      name: 'resolvable',
      comment: 'an import that leads nowhere fails only when its line runs.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-development-packages',
      comment: 'what is published needs its packages under dependencies.',
      severity: 'error',
      from: { path: '^src/' },
      to: { ...values, dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: '^(node_modules|dist)/' },
    // Tells `import type` from the rest, which the rules above need.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['tidegate-source', 'import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
