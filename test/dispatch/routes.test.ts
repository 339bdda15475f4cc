import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseRoutes, readRoutes } from '../../src/dispatch/read-routes.ts';
import { TidegateError } from '../../src/model/error.ts';
import { namespacesOf, ONE_PLACE, placeOf, type Routes } from '../../src/model/routes.ts';

const routes: Routes = {
  default: { taskQueue: 'tidegate' },
  rules: [
    { tenants: ['acme-eu', 'eu-*'], taskQueue: 'tidegate-eu', namespace: 'eu' },
    { tenants: ['*-big', 'a*b*c'], taskQueue: 'tidegate-big' },
    { tenants: ['eu-late'], taskQueue: 'never' },
  ],
};

describe('the place of a tenant', () => {
  const queueOf = (tenant: string) => placeOf(routes, tenant).taskQueue;

  it('is that of the first rule that names it, else the default', () => {
    assert.deepEqual(placeOf(routes, 'acme-eu'), { taskQueue: 'tidegate-eu', namespace: 'eu' });
    for (const tenant of ['eu-', 'eu-1', 'eu-late', 'eu-big']) {
      assert.equal(queueOf(tenant), 'tidegate-eu', tenant);
    }
    for (const tenant of ['x-big', '-big', 'abc', 'axbxc', 'aabbcc']) {
      assert.equal(queueOf(tenant), 'tidegate-big', tenant);
    }
    for (const tenant of ['acme-eu2', 'xeu-1', 'EU-1', 'bigger', 'acb', 'ab', 'default']) {
      assert.deepEqual(placeOf(routes, tenant), { taskQueue: 'tidegate' }, tenant);
    }
    assert.deepEqual(namespacesOf(routes), ['eu']);
    assert.deepEqual(placeOf(ONE_PLACE, 'eu-1'), { taskQueue: 'tidegate' });
  });

  it('reads a pattern as a person does: each star is any characters', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 });
    const pattern = fc.string({
      unit: fc.constantFrom('a', 'b', '-', '*'),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(pattern, letters, (text, tenant) => {
        const rules = [{ tenants: [text], taskQueue: 'matched' }];
        const expected = new RegExp(`^${text.replaceAll('*', '.*')}$`).test(tenant);
        const { taskQueue } = placeOf({ ...ONE_PLACE, rules }, tenant);
        assert.equal(taskQueue === 'matched', expected);
      }),
    );
  });
});

describe('the file of routes', () => {
  const problemsOf = (json: unknown): readonly string[] => {
    try {
      parseRoutes('routes.json', json);
    } catch (error) {
      assert.ok(TidegateError.is(error, 'config_invalid'));
      const { problems } = error.details as { problems: readonly { problem: string }[] };
      for (const { problem } of problems) assert.ok(error.message.includes(problem));
      return problems.map(({ problem }) => problem);
    }
    return [];
  };

  it('may leave out what has a default', () => {
    assert.deepEqual(parseRoutes('routes.json', {}), ONE_PLACE);
    assert.deepEqual(
      parseRoutes('routes.json', { rules: [{ tenants: ['eu-*'], namespace: 'eu' }] }).rules,
      [{ tenants: ['eu-*'], taskQueue: 'tidegate', namespace: 'eu' }],
    );
  });

  it('is refused with every problem at once', () => {
    assert.deepEqual(
      problemsOf({
        default: { taskQueue: 'a b' },
        rule: [],
        rules: [
          { tenants: [], taskQueue: 7 },
          { tenants: ['ok', 'no:colon'], region: 'eu', namespace: '' },
        ],
      }),
      [
        'default.taskQueue must be 1 to 200 printable ASCII characters without spaces',
        'rules[0].tenants must name a tenant',
        'rules[0].taskQueue must be text',
        'rules[1].tenants[1] must be a tenant, or a pattern with * for any characters, such as eu-*',
        'rules[1].namespace must be 1 to 200 printable ASCII characters without spaces',
        'rules[1].region is not known here',
        'rule is not known here',
      ],
    );
    assert.equal(problemsOf([]).length, 1);
    assert.equal(problemsOf({ rules: {} }).length, 1);
  });

  it('is found beside the project, and said to be missing or no JSON', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-routes-'));
    try {
      assert.throws(
        () => readRoutes(directory, 'routes.json'),
        (error) => TidegateError.is(error, 'config_invalid') && error.message.includes(directory),
      );
      writeFileSync(join(directory, 'routes.json'), JSON.stringify(routes));
      assert.deepEqual(readRoutes(directory, 'routes.json'), routes);
      writeFileSync(join(directory, 'routes.json'), '{');
      assert.throws(() => readRoutes(directory, 'routes.json'), /cannot be read as JSON/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
