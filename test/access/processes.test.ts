import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { readApiKey } from '../../src/access/api-keys.ts';
import { developmentKey } from '../../src/cli/development-key.ts';
import { assertAuth, readConfig } from '../../src/config.ts';
import { TidegateError } from '../../src/model/error.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const hello = join(root, 'examples/hello');
const TOKEN = 'the-token-of-the-process-test';
const JWT = {
  TIDEGATE_JWT_ISSUER: 'https://login.acme.example/',
  TIDEGATE_JWT_AUDIENCE: 'tidegate',
};

interface Started {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<number | null>;
}

/** Without what this process was started with: only what the test says is configured. */
function tidegate(args: readonly string[], env: Readonly<Record<string, string>>): Started {
  const flags = ['--conditions=tidegate-source', '--import', 'tsx', join(root, 'src/cli/main.ts')];
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [...flags, ...args], {
    env: { PATH, HOME, ...env },
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    text.out += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    text.err += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, out: () => text.out, err: () => text.err, ended };
}

const variablesOf = (act: () => unknown): readonly string[] => {
  try {
    act();
  } catch (error) {
    assert.ok(TidegateError.is(error, 'config_invalid'));
    const problems = error.details.problems as readonly { readonly variable: string }[];
    return problems.map(({ variable }) => variable);
  }
  return [];
};

describe('who may call, as it is configured', () => {
  it('must be said for an ingress: a token, an issuer, or explicitly nobody', () => {
    const assertFor = (env: Readonly<Record<string, string>>) => () => assertAuth(readConfig(env));
    assert.deepEqual(variablesOf(assertFor({})), ['TIDEGATE_TOKEN']);
    for (const env of [{ TIDEGATE_TOKEN: TOKEN }, JWT, { TIDEGATE_AUTH: 'none' }]) {
      assert.deepEqual(variablesOf(assertFor(env)), []);
    }
  });

  it('is never nobody where others can reach the server, nor beside a credential', () => {
    for (const env of [
      { TIDEGATE_AUTH: 'none', TIDEGATE_TOKEN: TOKEN },
      { TIDEGATE_AUTH: 'none', ...JWT },
      { TIDEGATE_AUTH: 'off' },
    ]) {
      assert.deepEqual(
        variablesOf(() => readConfig(env)),
        ['TIDEGATE_AUTH'],
      );
    }
    const reachable = variablesOf(() => readConfig({ TIDEGATE_AUTH: 'none', HOST: '0.0.0.0' }));
    assert.deepEqual(reachable, ['TIDEGATE_TOKEN', 'TIDEGATE_AUTH']);
    readConfig({ HOST: '0.0.0.0', ...JWT });
  });

  it('is an issuer with an audience, its keys at the usual place', () => {
    assert.deepEqual(readConfig(JWT).jwt, {
      issuer: 'https://login.acme.example/',
      audience: 'tidegate',
      jwksUrl: 'https://login.acme.example/.well-known/jwks.json',
      tenantClaim: 'tenant',
    });
    const jwksUrl = 'http://127.0.0.1:9000/keys';
    const named = { ...JWT, TIDEGATE_JWT_JWKS_URL: jwksUrl, TIDEGATE_JWT_TENANT_CLAIM: 'org' };
    assert.equal(readConfig(named).jwt?.jwksUrl, jwksUrl);
    assert.equal(readConfig(named).jwt?.tenantClaim, 'org');
  });

  it('is refused half said, or with keys that travel in the clear', () => {
    const { TIDEGATE_JWT_ISSUER: issuer, TIDEGATE_JWT_AUDIENCE: audience } = JWT;
    const [ISSUER, AUDIENCE, URL] = [
      'TIDEGATE_JWT_ISSUER',
      'TIDEGATE_JWT_AUDIENCE',
      'TIDEGATE_JWT_JWKS_URL',
    ];
    const cases: readonly (readonly [Record<string, string>, readonly string[]])[] = [
      [{ [ISSUER]: issuer }, [AUDIENCE]],
      [{ [AUDIENCE]: audience }, [ISSUER]],
      [{ [URL]: 'https://a.example/keys' }, [ISSUER]],
      [{ TIDEGATE_JWT_TENANT_CLAIM: 'org' }, [ISSUER]],
      [{ ...JWT, [ISSUER]: 'http://login.acme.example' }, [ISSUER]],
      [{ ...JWT, [ISSUER]: 'login.acme.example' }, [ISSUER]],
      [{ ...JWT, [URL]: 'http://keys.acme.example/' }, [URL]],
      [{ ...JWT, [URL]: ['https://ada', 'hunter2@acme.example/'].join(':') }, [URL]],
    ];
    for (const [env, variables] of cases) {
      assert.deepEqual(
        variablesOf(() => readConfig(env)),
        variables,
        JSON.stringify(env),
      );
    }
  });
});

describe('the development key', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-key-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is made once, in the shape of a key, and read by nobody else', () => {
    const made = developmentKey(join(directory, 'state'));
    assert.ok(made.isNew && readApiKey(made.key) !== undefined);
    assert.equal(statSync(made.path).mode & 0o777, 0o600);
    assert.deepEqual(developmentKey(join(directory, 'state')), { ...made, isNew: false });
    chmodSync(made.path, 0o644);
    developmentKey(join(directory, 'state'));
    assert.equal(statSync(made.path).mode & 0o777, 0o600);
    writeFileSync(made.path, 'broken');
    assert.notEqual(developmentKey(join(directory, 'state')).key, made.key);
  });
});

describe('tidegate ingress', () => {
  it('does not start until something says who may call, and says what to set', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-ingress-'));
    const { ended, err } = tidegate(['ingress', hello], { TIDEGATE_DIR: directory, PORT: '0' });
    assert.equal(await ended, 1);
    for (const text of ['TIDEGATE_TOKEN', 'TIDEGATE_JWT_ISSUER', 'TIDEGATE_AUTH=none']) {
      assert.ok(err().includes(text), err());
    }
    assert.match(err(), /\[config_invalid\]/);
    rmSync(directory, { recursive: true });
  }).timeout(60_000);
});

describe('tidegate dev, with nothing configured', () => {
  let directory: string;
  let dev: Started;
  let url: string;

  before(async function () {
    this.timeout(120_000);
    directory = mkdtempSync(join(tmpdir(), 'tidegate-dev-'));
    const [port, temporalPort, uiPort] = [await freePort(), await freePort(), await freePort()];
    url = `http://127.0.0.1:${port}`;
    dev = tidegate(['dev', hello], {
      TIDEGATE_DIR: directory,
      PORT: String(port),
      TEMPORAL_PORT: String(temporalPort),
      TEMPORAL_UI_PORT: String(uiPort),
      TEMPORAL_CLI: await findTemporalCli(process.env),
      LOG_LEVEL: 'warn',
    });
    await until('dev to be ready', async () => dev.out().includes('Stop with Ctrl-C'), 100_000);
  });
  after(async function () {
    this.timeout(60_000);
    dev?.child.kill('SIGTERM');
    await dev?.ended;
    rmSync(directory, { recursive: true, force: true });
  });

  const status = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await fetch(`${url}/api/v1/flows`, { headers })).status;

  it('prints a key, which is taken also from elsewhere, and asks nobody on this machine for it', async () => {
    const [key = ''] = /tg_\w+/.exec(dev.out()) ?? [];
    assert.equal(readFileSync(join(directory, 'development-key'), 'utf8').trim(), key);
    assert.equal(await status({}), 200);
    const tunnelled = { 'x-forwarded-for': '203.0.113.7' };
    assert.equal(await status(tunnelled), 401);
    assert.equal(await status({ ...tunnelled, authorization: `Bearer ${key}` }), 200);
  });

  it('has its keys made, listed, rotated and revoked by tidegate keys', async () => {
    const keys = async (...args: readonly string[]) => {
      const { ended, out, err } = tidegate(['keys', ...args, '--url', url], {});
      return { code: await ended, out: out().trim(), err: err().trim() };
    };
    const create = ['create', '--name', 'billing', '--tenant', 'acme'];
    const made = await keys(
      ...create,
      ...['--action', 'operate:read', '--type', 'invoice.*', '--expires-in', '90d'],
    );
    assert.equal(made.code, 0, made.err);
    const id = readApiKey(made.out)?.id ?? '';
    assert.equal(await status({ authorization: `Bearer ${made.out}` }), 200);
    assert.match((await keys('list')).out, new RegExp(`^${id}  active  billing  tenant acme  `));

    const rotated = await keys('rotate', id, '--overlap', '1h');
    for (const key of [made.out, rotated.out]) {
      assert.equal(await status({ authorization: `Bearer ${key}` }), 200);
    }
    const newId = readApiKey(rotated.out)?.id ?? '';
    assert.match((await keys('revoke', newId)).out, / {2}revoked {2}/);
    assert.match((await keys('rotate', newId)).err, /\[key_inactive\]$/);

    assert.equal((await keys('create', '--name', 'nobody')).code, 2);
    const refused = await keys(...create, '--action', 'events:read');
    assert.deepEqual([refused.code, refused.out], [1, '']);
    assert.match(refused.err, /actions\[0\] must be one of .*\[key_invalid\]$/s);
    const nobody = tidegate(['keys', 'list', '--url', `http://127.0.0.1:${await freePort()}`], {});
    assert.equal(await nobody.ended, 1);
    assert.match(nobody.err(), /Nothing answers at/);
  }).timeout(120_000);
});
