import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PGlite } from '@electric-sql/pglite';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { dataConverter, journalSealing } from '../../src/encryption/index.ts';
import { noKeys, readKeyring } from '../../src/encryption/keyring.ts';
import { decodePayloads } from '../../src/encryption/payload-codec.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunId } from '../../src/model/run.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { startTemporal } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import { startWholeEngine, type WholeEngine } from './whole-engine.ts';

const NAME = 'Canaria Xylophone';
const EMAIL = 'quetzal.canary@nest.example';
const CANARY = /canar|xylophone|quetzal/i;
const key = () => randomBytes(32).toString('base64');
const [first, second] = [`k1:${key()}`, `k2:${key()}`];
const ringOf = (...keys: string[]) => readKeyring({ TIDEGATE_ENCRYPTION_KEYS: keys.join(',') });
const UI = 'http://ui.example';

const joined = (personId: string) => ({
  personId,
  team: 'red',
  person: { name: NAME, email: EMAIL },
});

/** Every text and every run of bytes in a message. */
function textIn(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.values(value).map(textIn).join(' ');
}

describe('with encryption', function () {
  this.timeout(180_000);
  let env: TestWorkflowEnvironment;
  let directory: string;
  let journal: Journal;
  let engine: WholeEngine;

  /** All processes with these keys. */
  const start = async (keyring: ReturnType<typeof noKeys>): Promise<void> => {
    journal = await openJournal({ directory, sealing: journalSealing(keyring) });
    engine = await startWholeEngine({
      env,
      journal,
      temporal: { dataConverter: dataConverter(keyring) },
      ingress: {
        config: { host: '127.0.0.1', port: 0, codecOrigins: [UI] },
        decode: (payloads, tenant) => decodePayloads(keyring, payloads, tenant),
      },
    });
  };
  const stop = async (): Promise<void> => {
    await engine.stop();
    await journal.close();
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-sealed-'));
    env = await startTemporal();
    await start(ringOf(first));
  });
  after(async () => {
    await stop().catch(() => {});
    await env?.teardown();
    rmSync(directory, { recursive: true, force: true });
  });

  const history = async (run: string): Promise<string> => {
    const { events = [] } = await env.client.workflow.getHandle(run).fetchHistory();
    return events?.map(textIn).join('\n') ?? '';
  };

  it('leaves nothing to read in Temporal, and works as without', async () => {
    assert.equal((await engine.send('person.joined', 'e1', joined('p1'))).status, 202);
    const { park } = await engine.parked('greet:default:p1', /^desk\.find/);
    assert.match(park?.reason ?? '', /there is no \*\*\* here/);
    await engine.parked('enrol:default:p1', /badge/);
    for (const run of ['greet:default:p1', 'enrol:default:p1']) {
      const text = await history(run);
      assert.ok(text.includes('tidegate-encrypted'));
      assert.equal(CANARY.exec(text), null, run);
    }
  });

  it('leaves nothing to read in the database', async () => {
    const bad = { ...joined('p3'), person: { name: NAME, email: `bad ${EMAIL}` } };
    assert.equal((await engine.send('person.joined', 'r1', bad)).status, 422);
    await engine.send('nobody.knows', 'r2', { who: NAME });
    const skip = { action: 'skip', reason: 'known', input: NAME };
    assert.equal(await engine.decide('enrol:default:p1', skip), 200);
    await engine.settled('enrol:default:p1');
    const { rows } = await journal.listEvents({}, {});
    assert.ok(rows.some(({ event }) => JSON.stringify(event.data).includes(NAME)));
    const letters = await journal.listDeadLetters({});
    assert.ok(letters.rows.some((row) => row.kind === 'rejected' && row.body.includes(NAME)));
    const outbox = await journal.listOutbox({}, {});
    assert.ok(JSON.stringify(outbox.rows).includes(EMAIL));
    const run = await journal.findRun('enrol:default:p1' as RunId);
    assert.ok(JSON.stringify(run?.settlements).includes(EMAIL));

    await stop();
    const database = await PGlite.create({ dataDir: directory });
    const tables = await database.query<{ name: string }>(
      "select table_name as name from information_schema.tables where table_schema = 'public'",
    );
    for (const { name } of tables.rows) {
      const all = await database.query(`select * from ${name}`);
      const text = JSON.stringify(all.rows);
      const found = CANARY.exec(text);
      assert.equal(found, null, `${name}: ${text.slice((found?.index ?? 0) - 200).slice(0, 260)}`);
    }
    await database.close();
  });

  it('goes on after its key was rotated, and waits while a process lacks one', async () => {
    await start(ringOf(second, first));
    const skip = { action: 'skip', reason: 'known', input: 'known' };
    await engine.parked('greet:default:p1', /^desk\.find/);
    assert.equal(await engine.decide('greet:default:p1', skip), 200);
    await engine.parked('greet:default:p1', /^approval/);
    await stop();

    // Keys are gone: nothing is lost and nothing fails.
    await start(noKeys());
    const handle = env.client.workflow.getHandle('greet:default:p1');
    await handle.signal('wake up');
    await until('a task that fails', async () => {
      const { status, raw } = await handle.describe();
      assert.equal(status.name, 'RUNNING');
      return (raw.pendingWorkflowTask?.attempt ?? 0) > 1;
    });
    const answer = await fetch(`${engine.url}/api/v1/events`);
    assert.equal(answer.status, 503);
    assert.equal(((await answer.json()) as { code: string }).code, 'encryption_key_unknown');
    await stop();

    await start(ringOf(second, first));
    await engine.parked('greet:default:p1', /^approval/);
    const yes = { action: 'approve', reason: 'yes' };
    await until('the decision', async () => (await engine.decide('greet:default:p1', yes)) === 200);
    const { settlements } = await engine.settled('greet:default:p1');
    assert.deepEqual(settlements.at(-1)?.result, { status: 'approved', mailed: '***' });
  });

  const temporal = async (args: readonly string[]): Promise<string> => {
    const cli = await findTemporalCli(process.env);
    const at = ['--address', env.address, '-w', 'greet:default:p1', '-o', 'json'];
    const { stdout } = await promisify(execFile)(cli, ['workflow', 'show', ...at, ...args], {
      maxBuffer: 32_000_000,
    });
    // Payloads are shown as they are, in base64.
    return stdout.replace(/"[A-Za-z0-9+/]{12,}={0,2}"/g, (text) =>
      Buffer.from(text, 'base64').toString(),
    );
  };

  it('is read by the Temporal CLI through the codec server', async () => {
    assert.equal(CANARY.exec(await temporal([])), null);
    const shown = await temporal(['--codec-endpoint', `${engine.url}/codec`]);
    assert.match(shown, CANARY);
    assert.ok(shown.includes(EMAIL));
  });

  const decode = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${engine.url}/codec/decode`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it('answers the pages of its Web UI only', async () => {
    const body = { payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'MQ==' }] };
    const asked = await decode(body, { origin: UI });
    assert.equal(asked.status, 200);
    assert.equal(asked.headers.get('access-control-allow-origin'), UI);
    assert.deepEqual(await asked.json(), body);
    assert.equal((await decode(body, { origin: 'http://evil.example' })).status, 403);
    const preflight = await fetch(`${engine.url}/codec/decode`, {
      method: 'OPTIONS',
      headers: { origin: UI, 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal((await decode({ payloads: 1 })).status, 400);
    assert.deepEqual(await (await decode({})).json(), { payloads: [] });
    assert.equal((await fetch(`${engine.url}/codec/encode`, { method: 'POST' })).status, 404);
    const ours = Buffer.from('binary/tidegate-encrypted').toString('base64');
    const corrupt = await decode({ payloads: [{ metadata: { encoding: ours }, data: 'AAAA' }] });
    assert.equal(((await corrupt.json()) as { code: string }).code, 'payload_corrupt');
  });
});
