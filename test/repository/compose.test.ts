import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { readConfig } from '../../src/config.ts';
import {
  type ComposeService,
  interpolatedText,
  readCompose,
  readYaml,
  repositoryRoot,
} from '../operations/compose.ts';
import { readJson, repositoryFiles } from './files.ts';

const compose = readCompose();
const services = Object.entries(compose.services);
const own = services.filter(([, { build }]) => build !== undefined);

/** Names of services that a rule does not hold for. */
const breaking = (holds: (service: ComposeService) => boolean): readonly string[] =>
  services.filter(([, service]) => !holds(service)).map(([name]) => name);

describe('docker-compose.yml', () => {
  it('is what the Compose specification says', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats.default(ajv);
    const isValid = ajv.compile(readJson('test/repository/compose-spec/compose-spec.json'));
    isValid(readYaml('docker-compose.yml'));
    assert.deepEqual(isValid.errors ?? [], []);
  });

  it('needs no variable to be set, and says what those do that can be', () => {
    assert.equal(compose.services.ingress?.image, 'tidegate');
    const other = readCompose({ TIDEGATE_IMAGE: 'acme/flows:7', TIDEGATE_PROJECT: 'flows' });
    assert.equal(other.services.worker?.image, 'acme/flows:7');
    assert.deepEqual(other.services.worker?.command, ['worker', 'flows']);
    assert.equal(interpolatedText('$$(cat a)', {}), '$(cat a)');
    assert.throws(() => interpolatedText('$(cat a)', {}), /is no variable/);
  });

  it('pins each image to a version', () => {
    const images = services.filter(([, { build }]) => build === undefined);
    const loose = images.filter(([, { image }]) => !/:v?\d+(\.\d+)*(-[a-z]+)?$/.test(image));
    assert.deepEqual(loose, []);
  });

  it('gives no service a privilege, and each a bound', () => {
    assert.deepEqual(
      breaking(({ cap_drop }) => cap_drop?.join() === 'ALL'),
      [],
    );
    assert.deepEqual(
      breaking(({ security_opt }) => security_opt?.join() === 'no-new-privileges:true'),
      [],
    );
    assert.deepEqual(
      breaking(({ restart }) => /^(unless-stopped|on-failure:\d+)$/.test(restart ?? '')),
      [],
    );
    assert.deepEqual(
      breaking(({ deploy }) => {
        const limits = deploy?.resources.limits;
        return Boolean(limits?.cpus && limits.memory && limits.pids);
      }),
      [],
    );
    // Its entrypoint may write its configuration beside itself.
    assert.deepEqual(
      breaking((service) => service.read_only === true),
      ['temporal-ui'],
    );
  });

  it('publishes ports of this machine only, none twice, and none of the database', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    assert.deepEqual(
      ports.filter((port) => !port.startsWith('127.0.0.1:')),
      [],
    );
    const published = ports.map((port) => port.split(':')[1]);
    assert.equal(new Set(published).size, published.length);
    assert.equal(compose.services.postgres?.ports, undefined);
    assert.deepEqual(compose.services.postgres?.networks, ['database']);
    assert.equal(compose.networks.database?.internal, true);
  });

  it('can run two of an ingress and two of a worker', () => {
    assert.deepEqual(
      own.map(([name]) => name),
      ['ingress', 'worker'],
    );
    for (const [name, service] of own) {
      assert.ok(!('container_name' in service), name);
      // Two cannot have one port: the gateway stands before them.
      assert.equal(service.ports, undefined, name);
      assert.deepEqual(
        (service.volumes ?? []).filter((volume) => !volume.endsWith(':ro')),
        [],
        name,
      );
    }
  });

  it('has no secret in an environment, and gives each service only those that it reads', () => {
    for (const [name, { environment = {}, secrets = [], ...service }] of services) {
      for (const [variable, value] of Object.entries(environment)) {
        if (/PASSWORD|SECRET|TOKEN|_KEY|PWD|DATABASE_URL/.test(variable)) {
          assert.match(variable, /_FILE$/, name);
          assert.match(value, /^\/run\/secrets\//, name);
        }
      }
      const scripts = (service.volumes ?? [])
        .map((volume) => volume.split(':')[0] ?? '')
        .filter((path) => path.startsWith('./'))
        .flatMap(filesOf)
        .map((path) => readFileSync(join(repositoryRoot, path), 'utf8'));
      const text = [JSON.stringify([environment, service]), ...scripts].join('\n');
      const read = [...text.matchAll(/\/run\/secrets\/([\w-]+)/g)].map(([, secret = '']) => secret);
      assert.deepEqual([...secrets].sort(), [...new Set(read)].sort(), name);
    }
    const given = new Set(services.flatMap(([, { secrets = [] }]) => secrets));
    assert.deepEqual(Object.keys(compose.secrets).sort(), [...given].sort());
  });

  it('names files, volumes, networks and services that there are', () => {
    for (const [name, service] of services) {
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        const isThere = source.startsWith('./')
          ? existsSync(join(repositoryRoot, source))
          : source in compose.volumes;
        assert.ok(isThere, `${name}: ${volume}`);
      }
      for (const network of service.networks ?? []) assert.ok(network in compose.networks, name);
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        assert.ok(other in compose.services, `${name}: ${other}`);
        const isChecked = compose.services[other]?.healthcheck !== undefined;
        assert.ok(condition !== 'service_healthy' || isChecked, `${other} has no health check`);
      }
    }
  });

  it('lets the ingress start without Temporal, as it can', () => {
    assert.deepEqual(Object.keys(compose.services.ingress?.depends_on ?? {}), ['postgres']);
  });

  it('has health checks that are programs of their images, as a shell would read none of them', () => {
    for (const [name, { healthcheck }] of own) {
      const [kind, ...command] = healthcheck?.test ?? [];
      assert.equal(kind, 'CMD', name);
      const [program = '', option, script = ''] = command;
      assert.deepEqual([program, option], ['node', '--eval'], name);
      // Where nothing listens, it says so by its exit code.
      const elsewhere = script.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1');
      assert.equal(spawnSync(process.execPath, ['--eval', elsewhere]).status, 1, name);
    }
  });
});

/** A file, or the files below a folder. */
function filesOf(path: string): readonly string[] {
  const relative = path.replace('./', '');
  return repositoryFiles().filter((file) => file === relative || file.startsWith(`${relative}/`));
}

describe('deploy/prepare.sh', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidegate-prepare-'));
    cpSync(join(repositoryRoot, 'deploy/prepare.sh'), join(folder, 'prepare.sh'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const prepare = (): void => {
    const { status, stderr } = spawnSync('sh', [join(folder, 'prepare.sh')], { encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  };
  const secrets = (): Readonly<Record<string, string>> =>
    Object.fromEntries(
      readdirSync(join(folder, 'secrets')).map((name) => [
        name,
        readFileSync(join(folder, 'secrets', name), 'utf8').trim(),
      ]),
    );

  it('makes each secret of docker-compose.yml, in a folder that nobody else can enter', () => {
    prepare();
    assert.deepEqual(
      Object.keys(secrets()).map((name) => `deploy/secrets/${name}`),
      Object.values(compose.secrets)
        .map(({ file }) => file)
        .sort(),
    );
    assert.equal(new Set(Object.values(secrets())).size, Object.keys(secrets()).length);
    assert.equal(statSync(join(folder, 'secrets')).mode & 0o777, 0o700);
    // Containers read them as users of their own.
    for (const name of Object.keys(secrets())) {
      assert.equal(statSync(join(folder, 'secrets', name)).mode & 0o777, 0o444);
    }
  });

  it('keeps what is there', () => {
    prepare();
    const made = secrets();
    rmSync(join(folder, 'secrets/grafana-password'));
    prepare();
    const { 'grafana-password': fresh, ...others } = secrets();
    const { 'grafana-password': old, ...kept } = made;
    assert.deepEqual(others, kept);
    assert.notEqual(fresh, old);
  });

  it('makes what the processes take', () => {
    prepare();
    for (const [name, { environment = {} }] of own) {
      const config = readConfig(
        Object.fromEntries(
          Object.entries(environment).map(([variable, value]) => [
            variable,
            value.replace('/run/secrets', join(folder, 'secrets')),
          ]),
        ),
      );
      const made = secrets();
      assert.equal(config.metricsToken, made['metrics-token'], name);
      assert.deepEqual(config.linkSecrets, [made['link-secret']], name);
      assert.equal(config.token, name === 'ingress' ? made['tidegate-token'] : undefined);
      const { hostname, username, password, pathname } = new URL(config.databaseUrl ?? '');
      assert.deepEqual(
        [hostname, username, password, pathname],
        ['postgres', 'tidegate', made['tidegate-database-password'], '/tidegate'],
      );
    }
  });
});
