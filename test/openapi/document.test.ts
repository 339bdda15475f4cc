import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Express } from 'express';
import { after, before, describe, it } from 'mocha';
import { type DocumentedOperation, judgeBy, newValidator, resolveIn } from './support/answers.ts';
import { startProcess, type TestProcess, TOKEN } from './support/process.ts';

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
  readonly handle: { readonly stack?: readonly Layer[] };
  match(path: string): boolean;
}

/** Where routers are mounted: Express keeps it as a pattern only, which can be tried. */
const MOUNTS = ['/api/v1', '/approvals', '/metrics', '/openapi.json', '/codec'];

/** `POST /events/{type}` for each route that the application answers. */
function routesOf(app: Express): readonly string[] {
  const { stack } = app.router as unknown as { readonly stack: readonly Layer[] };
  return stack.flatMap((layer) => {
    if (layer.route !== undefined) return named('', layer.route);
    if (layer.handle.stack === undefined) return [];
    const mount = MOUNTS.find((each) => layer.match(each));
    assert.ok(mount, 'a router is mounted at an address that this test does not know');
    return layer.handle.stack.flatMap(({ route }) =>
      route === undefined ? [] : named(mount, route),
    );
  });
}

const named = (mount: string, { path, methods }: NonNullable<Layer['route']>): readonly string[] =>
  Object.keys(methods)
    .filter((method) => method !== '_all')
    .map((method) => {
      const address = `${mount}${path === '/' ? '' : path}`.replace(/:(\w+)/g, '{$1}');
      return `${method.toUpperCase()} ${address}`;
    });

describe('The OpenAPI document', function () {
  this.timeout(60_000);
  let system: TestProcess;
  before(async () => {
    system = await startProcess();
  });
  after(() => system.stop());

  const operations = (): readonly (readonly [string, string, DocumentedOperation])[] =>
    Object.entries(system.document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => [method, path, operation] as const),
    );

  it('has every route of the process and no other', () => {
    const types = Object.keys(system.document.paths).filter((path) => /^\/events\/[^{]/.test(path));
    const documented = operations()
      .filter(([, path]) => !types.includes(path))
      .map(([method, path]) => `${method.toUpperCase()} ${path}`);
    assert.deepEqual(documented.toSorted(), routesOf(system.app).toSorted());
    assert.ok(types.includes('/events/deal.stage_changed'));
  });

  it('is served to who has a credential only', async () => {
    const url = `${system.url}/openapi.json`;
    const headers = { authorization: `Bearer ${TOKEN}` };
    assert.equal((await fetch(url)).status, 401);
    assert.equal((await fetch(url, { headers, method: 'POST' })).status, 405);
    assert.equal((await fetch(url, { headers, method: 'HEAD' })).status, 200);
  });

  it('names each operation once, with its path parameters', () => {
    const ids = operations().map(([, , { operationId }]) => operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, path, { parameters = [] }] of operations()) {
      const inPath = parameters.filter((each) => each.in === 'path');
      assert.deepEqual(
        inPath.map(({ name }) => name),
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        path,
      );
      assert.ok(inPath.every(({ required }) => required));
    }
  });

  it('has no reference to nothing', () => {
    const text = JSON.stringify(system.document.paths) + JSON.stringify(system.document.components);
    const refs = new Set(
      [...text.matchAll(/"\$ref":"(#\/components[^"]+)"/g)].map(([, ref]) => ref),
    );
    assert.ok(refs.size > 10);
    for (const ref of refs) assert.ok(resolveIn(system.document)(ref ?? ''), ref);
  });

  it('has schemas that a validator can compile, and examples that they take', () => {
    const ajv = newValidator();
    ajv.addSchema(system.document as object, 'document');
    let examples = 0;
    for (const [method, path, { requestBody, responses }] of operations()) {
      const named = Object.values(responses).map((each) =>
        each.$ref === undefined ? each : resolveIn(system.document)(each.$ref),
      ) as readonly (typeof responses)[string][];
      for (const { content = {} } of [requestBody ?? { content: {} }, ...named]) {
        for (const [type, { schema, example }] of Object.entries(content)) {
          const text = JSON.stringify(schema).replaceAll(
            '"$ref":"#/comp',
            '"$ref":"document#/comp',
          );
          const parsed = JSON.parse(text) as { $id?: string };
          delete parsed.$id;
          const check = ajv.compile(parsed);
          if (example === undefined) continue;
          examples += 1;
          assert.ok(check(example), `${method} ${path} ${type}: ${ajv.errorsText(check.errors)}`);
        }
      }
    }
    assert.ok(examples > 100);
  });

  it('gives every problem its status and code, and an example', () => {
    const judge = judgeBy(system.document);
    for (const [method, path, operation] of operations()) {
      for (const [status, named] of Object.entries(operation.responses)) {
        const response = (
          named.$ref === undefined ? named : resolveIn(system.document)(named.$ref)
        ) as typeof named;
        const problem = response.content?.['application/problem+json'];
        if (problem === undefined) continue;
        const answer = {
          status: Number(status),
          headers: { 'content-type': 'application/problem+json', 'retry-after': '2' },
          text: JSON.stringify(problem.example),
        };
        assert.equal(judge(operation, answer), undefined, `${method} ${path}`);
      }
    }
  });

  it('has every path that docs/reference/http.md names', () => {
    const page = readFileSync(new URL('../../docs/reference/http.md', import.meta.url), 'utf8');
    const documented = new Set(Object.keys(system.document.paths));
    const headings = [...page.matchAll(/^## ((?:(?:GET|POST|DELETE) [^\n]+))$/gm)].flatMap(
      ([, text]) =>
        [...(text ?? '').matchAll(/\/[\w/:.-]+/g)].map(([path]) => path.replace(/:(\w+)/g, '{$1}')),
    );
    assert.ok(headings.length > 10);
    for (const path of headings) assert.ok(documented.has(path), path);
  });
});
