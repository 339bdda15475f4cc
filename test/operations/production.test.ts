import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { type Restartable, restartable } from '../faults/processes.ts';
import { readJson, readText } from '../repository/files.ts';
import { freePort } from '../support/free-port.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { type ComposeService, readCompose, repositoryRoot } from './compose.ts';
import { type Image, makeImage } from './image.ts';
import { allQueries } from './panels.ts';
import { readingOf } from './promql.ts';

/**
 * docker-compose.yml without containers: its commands, environment, secrets and user, run from the files that the
 * Dockerfile puts into its image. Only PostgreSQL and Temporal are this machine's, and the addresses.
 */
describe('production as docker-compose.yml has it', function () {
  this.timeout(120_000);
  let folder: string;
  let image: Image;
  let postgres: TestPostgres;
  let temporal: Restartable;
  let ingress: Restartable;
  let worker: Restartable;
  let ingressUrl: string;
  let workerUrl: string;

  before(async function () {
    this.timeout(400_000);
    folder = mkdtempSync(join(tmpdir(), 'tidegate-production-'));
    // The processes run as another user.
    chmodSync(folder, 0o755);
    image = makeImage(folder);
    spawnSync('chmod', ['-R', 'a-w', image.root]);
    postgres = await startPostgres();
    const temporalPort = await freePort();
    await makeSecrets(await postgres.createDatabase());
    temporal = await temporalOn(temporalPort);
    const [port, metricsPort] = [await freePort(), await freePort()];
    ingressUrl = `http://127.0.0.1:${port}`;
    workerUrl = `http://127.0.0.1:${metricsPort}`;
    const places = { temporal: `127.0.0.1:${temporalPort}`, port, metricsPort };
    ingress = processOf('ingress', places);
    worker = processOf('worker', places);
    for (const each of [temporal, ingress, worker]) each.start();
    const areReady = async (): Promise<boolean> =>
      (await isReady(ingressUrl)) && (await isReady(workerUrl));
    await until('both to be ready', areReady, 90_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${ingress.output()}\n${worker.output()}`);
    });
  });
  after(async function () {
    // Tens of thousands of files are removed.
    this.timeout(240_000);
    for (const each of [ingress, worker, temporal]) await each?.kill();
    await postgres?.remove();
    spawnSync('chmod', ['-R', 'u+w', folder]);
    rmSync(folder, { recursive: true, force: true });
  });

  const secret = (name: string): string =>
    readFileSync(join(folder, 'secrets', name), 'utf8').trim();
  const isReady = async (url: string): Promise<boolean> =>
    (await fetch(`${url}/readyz`).catch(() => undefined))?.ok ?? false;
  const get = (url: string, token: string): Promise<Response> =>
    fetch(url, { headers: { Authorization: `Bearer ${token}` } });

  async function makeSecrets(databaseUrl: string): Promise<void> {
    cpSync(join(repositoryRoot, 'deploy/prepare.sh'), join(folder, 'prepare.sh'));
    assert.equal(spawnSync('sh', [join(folder, 'prepare.sh')]).status, 0);
    // Compose mounts the files one by one, so that nobody has to enter the folder.
    chmodSync(join(folder, 'secrets'), 0o755);
    const path = join(folder, 'secrets/tidegate-database-url');
    rmSync(path);
    writeFileSync(path, `${databaseUrl}\n`);
  }

  async function temporalOn(port: number): Promise<Restartable> {
    return restartable(
      'temporal',
      [
        await findTemporalCli(process.env),
        ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'error'],
        ...['--port', String(port), '--db-filename', join(folder, 'temporal.db')],
      ],
      {},
    );
  }

  /** A service, with the addresses and the folders of this machine. */
  function processOf(
    name: 'ingress' | 'worker',
    places: { readonly temporal: string; readonly port: number; readonly metricsPort: number },
  ): Restartable {
    const service = readCompose().services[name] as ComposeService;
    const environment = Object.entries(service.environment ?? {}).map(([variable, value]) => [
      variable,
      value
        .replace('/run/secrets', join(folder, 'secrets'))
        .replace('temporal:7233', places.temporal),
    ]);
    const own = parseEnv(readFileSync(join(folder, 'tidegate.env'), 'utf8'));
    const [program, ...args] = image.entrypoint;
    assert.equal(program, 'node');
    const command = [process.execPath, ...args, ...(service.command ?? [])] as const;
    const start = [...asUser(image.user), ...command] as unknown as [string, ...string[]];
    const script = 'cd "$0" && exec "$@"';
    return restartable(name, ['sh', '-c', script, join(image.root, image.workdir), ...start], {
      ...image.environment,
      ...(own as Record<string, string>),
      ...Object.fromEntries(environment),
      PORT: String(places.port),
      METRICS_PORT: String(places.metricsPort),
      HOME: folder,
    });
  }

  it('has an image with what runs, and nothing else', () => {
    const { packages } = readJson<{
      readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
    }>('package-lock.json');
    const app = join(image.root, image.workdir);
    const development = Object.entries(packages).filter(([, { dev }]) => dev);
    assert.ok(development.length > 50);
    assert.deepEqual(
      development.map(([path]) => path).filter((path) => existsSync(join(app, path))),
      [],
    );
    assert.deepEqual(readdirSync(app).sort(), ['dist', 'examples', 'node_modules', 'package.json']);
    const cores = readdirSync(join(app, 'node_modules/@temporalio/core-bridge/releases'));
    assert.equal(cores.length, process.platform === 'linux' ? 1 : 5);
    assert.match(image.user, /^[1-9]\d*:[1-9]\d*$/);
    // From within a project that has a package.json of its own, as that of zod is here.
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', "await import('tidegate/flow')"],
      { cwd: join(app, 'node_modules/zod'), encoding: 'utf8' },
    );
    assert.equal(status, 0, stderr);
  });

  it('takes an event and settles its run', async () => {
    const run = await send('production-1');
    await until('the run to be settled', () => isSettled(run), 60_000);
  });

  it('exports every series that the dashboard and the alerts read, with their labels', async () => {
    const token = secret('metrics-token');
    const texts = await Promise.all(
      [ingressUrl, workerUrl].map(async (url) => (await get(`${url}/metrics`, token)).text()),
    );
    const exported = new Set(
      texts.flatMap((text) => [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name)),
    );
    const page = readText('docs/operating/metrics.md');
    const labels = new Map(
      [...page.matchAll(/^\| `(tidegate_\w+)` \| \w+ \| (.*?) \|/gm)].map(
        ([, name = '', names = '']) => [name, [...names.matchAll(/\w+/g)].map(String)] as const,
      ),
    );
    // The SDK exports a series when it has a first number for it.
    const workers = readText('docs/operating/workers.md');
    const isOfSdk = (series: string): boolean =>
      series.startsWith('temporal_') && workers.includes(`\`${series}\``);
    const ofSdk = ['worker_type', 'workflow_type', 'failure_reason'];
    // What Prometheus itself adds.
    const added = ['job', 'instance', 'le', 'alertname', 'alertstate', ...ofSdk];
    for (const { place, expression } of allQueries()) {
      const { selectors, kept = [] } = readingOf(expression);
      const own = selectors.map(({ series }) => series.replace(/_(bucket|count|sum)$/, ''));
      for (const series of own.filter((name) => name !== 'up' && name !== 'ALERTS')) {
        const isThere = exported.has(series) || isOfSdk(series);
        assert.ok(isThere, `${place}: no process exports ${series}`);
      }
      const known = [...added, ...own.flatMap((series) => labels.get(series) ?? [])];
      const used = [...kept, ...selectors.flatMap((selector) => selector.labels)];
      assert.deepEqual(
        used.filter((label) => !known.includes(label)),
        [],
        place,
      );
    }
  });

  it('gives Prometheus the metrics, and its token nothing else', async () => {
    const token = secret('metrics-token');
    assert.equal((await get(`${ingressUrl}/api/v1/runs`, token)).status, 401);
    for (const url of [ingressUrl, workerUrl]) {
      assert.equal((await get(`${url}/metrics`, 'not-the-metrics-token')).status, 401);
      assert.equal((await fetch(`${url}/metrics`)).status, 401);
      assert.equal((await get(`${url}/metrics`, token)).status, 200);
    }
  });

  it('says that Temporal is away, takes events meanwhile, and goes on when it is back', async () => {
    await temporal.kill();
    const notReady = async (url: string) =>
      (await fetch(`${url}/readyz`).then((answer) => answer.json())) as {
        readonly errors?: readonly { readonly path: string }[];
      };
    for (const url of [ingressUrl, workerUrl]) {
      const { errors = [] } = await notReady(url);
      assert.deepEqual(
        errors.map(({ path }) => path),
        ['temporal'],
      );
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
    }
    const run = await send('production-2');
    temporal.start();
    await until('the run to be settled', () => isSettled(run), 60_000);
    await until('the worker to be ready', () => isReady(workerUrl), 30_000);
  });

  it('ends in order when it is told to', async () => {
    const codes = await Promise.all([ingress.terminate(), worker.terminate()]);
    assert.deepEqual(codes, [0, 0], `${ingress.output()}\n${worker.output()}`);
  });

  it('ends when it is told to before it has begun', async () => {
    await temporal.kill();
    worker.start();
    const isWaiting = async (): Promise<boolean> =>
      worker.output().includes('waiting for Temporal');
    await until('the worker to wait', isWaiting, 60_000);
    // By its own hand, 128 + 15: the first process of a container has nobody to end it.
    assert.equal(await worker.terminate(), 143);
  });

  /** Sends a user's creation. @returns the run that it is for */
  async function send(id: string): Promise<string> {
    const response = await fetch(`${ingressUrl}/events/user.created`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${secret('tidegate-token')}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': id,
      },
      body: JSON.stringify({ userId: id, name: 'Ada', email: 'ada@example.com' }),
    });
    assert.equal(response.status, 202, await response.clone().text());
    const { results } = (await response.json()) as {
      readonly results: readonly [{ readonly deliveries: readonly [{ readonly run: string }] }];
    };
    return results[0].deliveries[0].run;
  }

  async function isSettled(run: string): Promise<boolean> {
    const answer = await get(
      `${ingressUrl}/api/v1/runs/${encodeURIComponent(run)}`,
      secret('tidegate-token'),
    );
    const { settlements = [] } = (await answer.json()) as {
      readonly settlements?: readonly { readonly outcome: string }[];
    };
    return settlements.some(({ outcome }) => outcome === 'completed');
  }
});

/** As the image's user and without privileges, where this is allowed to become another. */
function asUser(user: string): readonly string[] {
  if (process.getuid?.() !== 0 || process.platform !== 'linux') return [];
  const [uid = '', gid = ''] = user.split(':');
  return [
    ...['setpriv', '--reuid', uid, '--regid', gid, '--clear-groups'],
    ...['--no-new-privs', '--bounding-set', '-all'],
  ];
}
