import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLeftover } from '../../src/cli/temporal-dev-server.ts';
import { until } from '../support/wait.ts';

describe('a Temporal dev server that a killed `tidegate dev` has left', () => {
  let directory: string;
  let owner: ChildProcess;
  let server: number;

  /** A process that has started another, whose command line names our database, and its pid file. */
  beforeEach(async function () {
    if (process.platform !== 'linux') this.skip();
    directory = mkdtempSync(join(tmpdir(), 'tidegate-leftover-'));
    const pidFile = join(directory, 'temporal.pid');
    const sleeper = ['-e', 'setInterval(() => {}, 1000)', join(directory, 'temporal.db')];
    const script = `
      const child = require('node:child_process').spawn(
        process.execPath, ${JSON.stringify(sleeper)}, { stdio: 'ignore', detached: true });
      require('node:fs').writeFileSync(
        ${JSON.stringify(pidFile)}, child.pid + ' ' + process.pid);
      setInterval(() => {}, 1000);`;
    owner = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
    const read = () => {
      try {
        return readFileSync(pidFile, 'utf8').split(' ').map(Number);
      } catch {
        return undefined;
      }
    };
    const [pid] = await until('the pid file', () => {
      const pids = read();
      return pids?.length === 2 && pids;
    });
    server = pid as number;
    await until('the server’s command line', () => commandLine().includes('temporal.db'));
  });
  afterEach(async () => {
    if (owner === undefined) return;
    await killOwner();
    if (isAlive()) process.kill(server, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  const commandLine = (): string => {
    try {
      return readFileSync(`/proc/${server}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  };
  // A process that has ended and is not yet fetched by its parent has no command line.
  const isAlive = (): boolean => commandLine() !== '';

  async function killOwner(): Promise<void> {
    if (owner.exitCode !== null || owner.signalCode !== null) return;
    const ended = new Promise((resolve) => owner.once('exit', resolve));
    owner.kill('SIGKILL');
    await ended;
  }

  it('is ended', async () => {
    await killOwner();
    assert.ok(isAlive());
    await endLeftover(directory);
    assert.ok(!isAlive());
  });

  it('is left alone while the `tidegate dev` that started it lives', async () => {
    await endLeftover(directory);
    assert.ok(isAlive());
  });

  it('is not taken for another process that has its id by now', async () => {
    await killOwner();
    const other = mkdtempSync(join(tmpdir(), 'tidegate-leftover-'));
    writeFileSync(join(other, 'temporal.pid'), `${server} ${owner.pid}`);
    await endLeftover(other);
    rmSync(other, { recursive: true });
    assert.ok(isAlive());
  });
});
