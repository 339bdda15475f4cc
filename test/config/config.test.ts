import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import fc from 'fast-check';
import { readConfig, withEnvFile } from '../../src/config.ts';
import { TidegateError } from '../../src/model/error.ts';

const TOKEN = 'a-token-of-some-length';

function problemsOf(environment: Record<string, string>): { variables: string[]; message: string } {
  try {
    readConfig(environment);
  } catch (error) {
    assert.ok(TidegateError.is(error, 'config_invalid'));
    const problems = error.details.problems as readonly { readonly variable: string }[];
    return { variables: problems.map(({ variable }) => variable), message: error.message };
  }
  assert.fail('the configuration was accepted');
}

describe('configuration', () => {
  it('needs nothing to be set', () => {
    const { directory, ...config } = readConfig({});
    assert.deepEqual(config, {
      port: 3000,
      host: '127.0.0.1',
      temporalPort: 7233,
      temporalUiPort: 8233,
      externalTemporal: false,
      linkSecrets: [],
      limits: { refusedPerAddress: { rate: 60, per: '1m' } },
      trustedProxies: 0,
      drainSeconds: 0,
      rawDays: 0,
      logLevel: 'info',
    });
    assert.ok(isAbsolute(directory) && directory.endsWith('.tidegate'));
  });

  it('takes an empty variable as unset', () => {
    assert.equal(readConfig({ PORT: '', TIDEGATE_TOKEN: '', TEMPORAL_ADDRESS: '' }).port, 3000);
    assert.equal(readConfig({ TEMPORAL_ADDRESS: '' }).externalTemporal, false);
  });

  it('reports every problem at once, each with its variable', () => {
    const { variables, message } = problemsOf({
      PORT: 'http',
      TEMPORAL_PORT: '70000',
      LOG_LEVEL: 'loud',
      HOST: '0.0.0.0',
      DATABASE_URL: 'mysql://u:hunter2@db/x',
    });
    assert.deepEqual(variables.sort(), [
      'DATABASE_URL',
      'LOG_LEVEL',
      'PORT',
      'TEMPORAL_PORT',
      'TIDEGATE_TOKEN',
    ]);
    assert.match(message, /PORT must be a whole number from 0 to 65535, got "http"/);
    assert.match(message, /LOG_LEVEL must be one of fatal, error, warn/);
    assert.match(message, /TIDEGATE_TOKEN must be set because HOST=0\.0\.0\.0 can be reached/);
  });

  it('never repeats the value of a secret', () => {
    const { message } = problemsOf({
      TIDEGATE_TOKEN: 'hunter2 hunter2',
      DATABASE_URL: 'mysql://user:hunter2@db/x',
    });
    assert.doesNotMatch(message, /hunter2/);
  });

  it('asks for a long token where others can reach the server', () => {
    assert.deepEqual(problemsOf({ HOST: '192.168.1.5' }).variables, ['TIDEGATE_TOKEN']);
    assert.deepEqual(problemsOf({ HOST: '0.0.0.0', TIDEGATE_TOKEN: 'short' }).variables, [
      'TIDEGATE_TOKEN',
    ]);
    assert.equal(readConfig({ HOST: '0.0.0.0', TIDEGATE_TOKEN: TOKEN }).token, TOKEN);
    for (const host of ['localhost', '::1', '127.0.0.2']) readConfig({ HOST: host });
  });

  it('takes the address that people know, without the slash at its end', () => {
    for (const [text, publicUrl] of [
      ['https://flows.acme.example/', 'https://flows.acme.example'],
      ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
      ['https://acme.example/tidegate/', 'https://acme.example/tidegate'],
    ] as const) {
      assert.equal(readConfig({ TIDEGATE_PUBLIC_URL: text }).publicUrl, publicUrl);
    }
    for (const text of [
      'flows.acme.example',
      'ftp://acme.example',
      // In two parts: it only looks like a credential.
      ['https://ada', 'hunter2@acme.example'].join(':'),
      'https://acme.example/?a=1',
      'https://acme.example/#top',
      'javascript:alert(1)',
    ]) {
      const { variables, message } = problemsOf({ TIDEGATE_PUBLIC_URL: text });
      assert.deepEqual(variables, ['TIDEGATE_PUBLIC_URL'], text);
      assert.doesNotMatch(message, /hunter2/);
    }
  });

  it('takes several link secrets, none of them short, and repeats none', () => {
    const [one, other] = ['a'.repeat(32), 'ключ'.repeat(4)];
    assert.deepEqual(readConfig({ TIDEGATE_LINK_SECRET: `${one}, ${other}` }).linkSecrets, [
      one,
      other,
    ]);
    for (const text of ['hunter2', `${one},`, `${one},hunter2`, 'ключ'.repeat(4).slice(1)]) {
      const { variables, message } = problemsOf({ TIDEGATE_LINK_SECRET: text });
      assert.deepEqual(variables, ['TIDEGATE_LINK_SECRET'], text);
      assert.match(message, /at least 32 bytes/);
      assert.doesNotMatch(message, /hunter2/);
    }
  });

  it('reads which build a worker is, and how much it does at a time', () => {
    const build = { TEMPORAL_WORKER_BUILD_ID: '2026-11-21-3f2c' };
    const { workerVersion } = readConfig(build);
    assert.deepEqual(workerVersion, { deploymentName: 'tidegate', buildId: '2026-11-21-3f2c' });
    const named = readConfig({ ...build, TEMPORAL_DEPLOYMENT_NAME: 'prod/orders' });
    assert.equal(named.workerVersion?.deploymentName, 'prod/orders');
    assert.equal(readConfig({}).workerVersion, undefined);
    assert.deepEqual(problemsOf({ TEMPORAL_DEPLOYMENT_NAME: 'orders' }).variables, [
      'TEMPORAL_WORKER_BUILD_ID',
    ]);
    assert.deepEqual(problemsOf({ TEMPORAL_WORKER_BUILD_ID: 'a b' }).variables, [
      'TEMPORAL_WORKER_BUILD_ID',
    ]);
    const sized = readConfig({
      TIDEGATE_WORKER_OPERATIONS: '20',
      TIDEGATE_WORKER_CACHED_RUNS: '500',
    });
    assert.deepEqual([sized.operationsMax, sized.cachedRunsMax], [20, 500]);
    const wrong = { TIDEGATE_WORKER_OPERATIONS: '0', TIDEGATE_WORKER_CACHED_RUNS: '5' };
    assert.deepEqual(problemsOf(wrong).variables.toSorted(), Object.keys(wrong).toSorted());
  });

  it('reads limits as rates, and says of each what is wrong with it', () => {
    const { limits, shedBacklog } = readConfig({
      TIDEGATE_LIMIT_PER_SOURCE: '100/1s',
      TIDEGATE_LIMIT_PER_TENANT: '5/1m burst 20',
      TIDEGATE_LIMIT_PER_CALLER: 'none',
      TIDEGATE_LIMIT_REFUSED_PER_ADDRESS: 'none',
      TIDEGATE_SHED_BACKLOG: '10, 20,20',
    });
    assert.deepEqual(limits, {
      perSource: { rate: 100, per: '1s' },
      perTenant: { rate: 5, per: '1m', burst: 20 },
    });
    assert.deepEqual(shedBacklog, { low: 10, normal: 20, high: 20 });
    const { variables, message } = problemsOf({
      TIDEGATE_LIMIT_PER_SOURCE: '100',
      TIDEGATE_LIMIT_PER_TENANT: '0/1s',
      TIDEGATE_SHED_BACKLOG: '20,10,30',
      TIDEGATE_DRAIN_SECONDS: '121',
      TIDEGATE_TRUSTED_PROXIES: 'all',
      METRICS_PORT: '0',
    });
    assert.deepEqual(variables.toSorted(), [
      'METRICS_PORT',
      'TIDEGATE_DRAIN_SECONDS',
      'TIDEGATE_LIMIT_PER_SOURCE',
      'TIDEGATE_LIMIT_PER_TENANT',
      'TIDEGATE_SHED_BACKLOG',
      'TIDEGATE_TRUSTED_PROXIES',
    ]);
    assert.match(message, /TIDEGATE_LIMIT_PER_SOURCE must be a rate such as 100\/1s/);
  });

  it('refuses one port for two servers of the development engine', () => {
    assert.deepEqual(problemsOf({ PORT: '7233' }).variables, ['TEMPORAL_PORT']);
    assert.deepEqual(problemsOf({ TEMPORAL_UI_PORT: '3000' }).variables, ['TEMPORAL_UI_PORT']);
    readConfig({ PORT: '7233', TEMPORAL_ADDRESS: 'temporal.internal:7233' });
  });

  it('notes a Temporal of its own by each of its variables', () => {
    for (const name of ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE']) {
      assert.equal(readConfig({ [name]: 'x' }).externalTemporal, true, name);
    }
  });

  it('takes every port number and no other text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 65_535 }), (port) => {
        if (port === 7233 || port === 8233) return;
        assert.equal(readConfig({ PORT: String(port) }).port, port);
      }),
    );
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        if (/^\d{1,5}$/.test(text)) return;
        assert.deepEqual(problemsOf({ PORT: text }).variables, ['PORT']);
      }),
    );
  });
});

describe('the .env file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-env-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('adds variables, and the environment wins over it', () => {
    writeFileSync(join(directory, '.env'), 'PORT=4000\n# a comment\nLOG_LEVEL="debug"\n');
    const config = readConfig(withEnvFile(directory, { PORT: '5000' }));
    assert.equal(config.port, 5000);
    assert.equal(config.logLevel, 'debug');
  });

  it('may be missing', () => {
    const environment = { PORT: '5000' };
    assert.equal(withEnvFile(directory, environment), environment);
  });
});
