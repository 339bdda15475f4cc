import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const START_MS_MAX = 120_000;
const END_MS_MAX = 60_000;

describe('the Temporal dev server of a `tidegate dev` that ends at once', function () {
  this.timeout(600_000);
  let directory: string;
  let port: number;
  let dev: ChildProcess;
  let output: string;
  let server: number | undefined;

  beforeEach(async function () {
    if (process.platform !== 'linux') this.skip();
    directory = mkdtempSync(join(tmpdir(), 'tidegate-dev-'));
    port = await freePort();
    const flags = ['--conditions=tidegate-source', '--import', 'tsx'];
    const command = [join(root, 'src/cli/main.ts'), 'dev', join(root, 'examples/hello')];
    const { PATH = '', HOME = '' } = process.env;
    dev = spawn(process.execPath, [...flags, ...command], {
      cwd: root,
      env: {
        PATH,
        HOME,
        TEMPORAL_CLI: await findTemporalCli(process.env),
        PORT: String(port),
        TEMPORAL_PORT: String(await freePort()),
        TEMPORAL_UI_PORT: String(await freePort()),
        TIDEGATE_DIR: directory,
        LOG_LEVEL: 'error',
        // The first signal is still being answered when the second comes.
        TIDEGATE_DRAIN_SECONDS: '120',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    output = '';
    for (const stream of [dev.stdout, dev.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    server = await until('the server’s process id', serverPid, START_MS_MAX);
  });
  afterEach(() => {
    dev?.kill('SIGKILL');
    if (server !== undefined && isAlive(server)) process.kill(server, 'SIGKILL');
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  function serverPid(): number | undefined {
    try {
      return Number(readFileSync(join(directory, 'temporal.pid'), 'utf8').split(' ')[0]);
    } catch {
      return undefined;
    }
  }
  // A process that has ended and is not yet fetched by its parent has no command line.
  function isAlive(pid: number): boolean {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
    } catch {
      return false;
    }
  }

  it('is told to end when a second signal comes', async () => {
    const isReady = async () =>
      (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok;
    await until('tidegate dev to be ready', isReady, START_MS_MAX);
    const ended = once(dev, 'exit');
    dev.kill('SIGTERM');
    await until('the first signal to be taken', () => output.includes('Stopping'), END_MS_MAX);
    assert.ok(server !== undefined && isAlive(server));
    dev.kill('SIGTERM');
    assert.deepEqual(await ended, [130, null], output);
    await until('the server to end', () => server !== undefined && !isAlive(server), END_MS_MAX);
  });
});
