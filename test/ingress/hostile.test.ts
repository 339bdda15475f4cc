import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { EventRow } from '../../src/journal/rows.ts';
import { freePort } from '../support/free-port.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const CONNECTIONS = 1_000;
const LOAD_MS = 2_000;
const FLOWS = ['digest', 'record'];
const root = fileURLToPath(new URL('../..', import.meta.url));
const project = join(root, 'test/faults/fixtures/project');

/** Each test goes on with the process that the one before has left. Temporal is away all the time. */
describe('the process `tidegate ingress`, among senders and servers that behave badly', () => {
  const secret = 'password-of-the-database';
  let postgres: TestPostgres;
  let databaseUrl: string;
  let port: number;
  let url: string;
  let child: ChildProcess | undefined;
  let output = '';
  const hanging: Socket[] = [];

  before(async function () {
    this.timeout(60_000);
    postgres = await startPostgres();
    databaseUrl = (await postgres.createDatabase()).replace('tidegate@', `tidegate:${secret}@`);
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
  });
  after(async function () {
    this.timeout(30_000);
    for (const socket of hanging) socket.destroy();
    if (child?.exitCode === null) child.kill('SIGKILL');
    await postgres.remove();
  });

  const start = async (): Promise<ChildProcess> => {
    const env = {
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
      PORT: String(port),
      LOG_LEVEL: 'info',
      TIDEGATE_AUTH: 'none',
    };
    const flags = ['--conditions=tidegate-source', '--import', 'tsx'];
    const started = spawn(
      process.execPath,
      [...flags, join(root, 'src/cli/main.ts'), 'ingress', project],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-20_000);
    };
    started.stdout?.on('data', keep);
    started.stderr?.on('data', keep);
    child = started;
    return started;
  };
  const ended = (started: ChildProcess) =>
    until(
      'the process to end',
      () => (started.exitCode ?? started.signalCode) !== null && { code: started.exitCode },
      20_000,
    );
  const isAlive = async (): Promise<boolean> =>
    (await fetch(`${url}/healthz`).catch(() => undefined))?.ok ?? false;

  const bodyOf = (order: string): string => JSON.stringify({ order, customer: `c${order.length}` });
  const post = (order: string) =>
    fetch(`${url}/events/order.placed`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': order },
      body: bodyOf(order),
      signal: AbortSignal.timeout(10_000),
    });
  /** A connection that is sent what its test says, byte for byte. */
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    hanging.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  const headOf = (order: string, length: number): string =>
    [
      'POST /events/order.placed HTTP/1.1',
      'Host: 127.0.0.1',
      'Content-Type: application/json',
      `Idempotency-Key: ${order}`,
      `Content-Length: ${length}`,
      '\r\n',
    ].join('\r\n');
  const withJournal = async <Result>(ask: (journal: Journal) => Promise<Result>) => {
    const journal = await openJournal({ databaseUrl });
    try {
      return await ask(journal);
    } finally {
      await journal.close();
    }
  };
  const isStored = (order: string) =>
    withJournal(async (journal) => (await journal.findEvents('default', order)).length > 0);

  it('ends with one sentence and no secret while PostgreSQL is away, and starts when it is back', async function () {
    this.timeout(60_000);
    await postgres.stop();
    assert.deepEqual(await ended(await start()), { code: 1 });
    assert.match(output, /\[journal_unavailable\]\n$/);
    assert.ok(!output.includes(secret));
    assert.equal(output.trim().split('\n').length, 1, output);

    await postgres.start();
    await start();
    await until('the ingress to answer', isAlive, 30_000);
    assert.equal((await post('first')).status, 202);
  });

  it('lives on when PostgreSQL goes away under it, and takes events when it is back', async function () {
    this.timeout(60_000);
    await postgres.kill();
    const refused = await post('away');
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    // Longer than the dispatcher's look at the journal: its failure must not end the process either.
    await sleep(700);
    assert.ok(await isAlive());
    await postgres.start();
    await until('an event to be taken', async () => (await post('away')).status === 202);
    assert.ok(!output.includes(secret));
  });

  it('takes other events while hundreds of senders are slow, and theirs when they have ended', async function () {
    this.timeout(60_000);
    const body = bodyOf('slow');
    const slow = await open();
    let answer = '';
    slow.on('data', (chunk) => {
      answer += chunk.toString();
    });
    slow.write(headOf('slow', body.length));
    for (let n = 0; n < 200; n += 1) {
      (await open()).write('POST /events/order.placed HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
      (await open()).write(`${headOf(`never-${n}`, 1_000)}{"order":`);
    }
    for (const byte of body.slice(0, -1)) {
      slow.write(byte);
      await sleep(5);
    }
    assert.equal((await post('meanwhile')).status, 202);
    assert.equal(answer, '');
    assert.equal(await isStored('slow'), false);
    slow.write(body.slice(-1));
    await until('the answer to the slow sender', () => answer.startsWith('HTTP/1.1 202'));
    assert.equal(await isStored('slow'), true);
  });

  it('stores nothing of senders that go away in the middle of a body', async () => {
    const body = bodyOf('cut-off');
    for (let n = 0; n < 50; n += 1) {
      const socket = await open();
      socket.write(`${headOf('cut-off', body.length)}${body.slice(0, -1)}`);
      if (n % 2 === 0) socket.end();
      else socket.resetAndDestroy();
    }
    await sleep(200);
    assert.ok(await isAlive());
    assert.equal(await isStored('cut-off'), false);
  });

  it('at SIGTERM under the load of a thousand connections, ends with 0 and has every event that it answered', async function () {
    this.timeout(120_000);
    const ingress = child ?? assert.fail();
    const accepted: string[] = [];
    const others = new Map<number, number>();
    let connected = 0;
    let isOver = false;
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const sendOne = (order: string) =>
      new Promise<number>((resolve, reject) => {
        const outgoing = request(
          `${url}/events/order.placed`,
          {
            agent,
            method: 'POST',
            headers: { 'Content-Type': 'application/json', 'Idempotency-Key': order },
          },
          (response) => {
            response.on('error', reject).on('end', () => resolve(response.statusCode ?? 0));
            response.resume();
          },
        );
        outgoing.on('error', reject);
        outgoing.end(bodyOf(order));
      });
    const sender = async (name: number): Promise<void> => {
      for (let n = 0; !isOver; n += 1) {
        const order = `load-${name}-${n}`;
        const status = await sendOne(order).catch(() => 0);
        if (status === 202) accepted.push(order);
        else others.set(status, (others.get(status) ?? 0) + 1);
        if (n === 0) connected += 1;
        // The process is gone, or going.
        if (status === 0) return;
      }
    };
    const senders = Promise.all(Array.from({ length: CONNECTIONS }, (_, name) => sender(name)));
    await sleep(LOAD_MS);
    await until('every connection to have an answer', () => connected === CONNECTIONS, 20_000);
    assert.deepEqual([...others], [], 'nothing but 202 before SIGTERM');

    const before = accepted.length;
    ingress.kill('SIGTERM');
    assert.deepEqual(await ended(ingress), { code: 0 }, output);
    isOver = true;
    await senders;
    agent.destroy();
    const after = accepted.length - before;
    assert.ok(after <= 5 * CONNECTIONS, `${after} events after SIGTERM: connections were kept`);
    assert.deepEqual(
      [...others.keys()].filter((status) => status !== 0 && status !== 503),
      [],
    );

    const stored = await withJournal(everyEvent);
    const missing = accepted.filter((order) => !stored.has(order));
    assert.deepEqual(missing, [], `of ${accepted.length} events, ${before} before SIGTERM`);
    const numbers = new Map<string, number[]>();
    for (const [id, { deliveries }] of stored) {
      assert.deepEqual(deliveries.map(({ flow }) => flow).sort(), FLOWS, id);
      for (const { run, number } of deliveries) {
        numbers.set(run, [...(numbers.get(run) ?? []), number]);
      }
    }
    for (const [run, given] of numbers) {
      const inOrder = given.sort((a, b) => a - b);
      assert.deepEqual(
        inOrder,
        inOrder.map((_, index) => index + 1),
        run,
      );
    }
  });
});

async function everyEvent(journal: Journal): Promise<ReadonlyMap<string, EventRow>> {
  const stored = new Map<string, EventRow>();
  let after: string | undefined;
  do {
    const page = await journal.listEvents(
      {},
      { limit: 500, ...(after === undefined ? {} : { after }) },
    );
    for (const row of page.rows) stored.set(row.event.id, row);
    after = page.next;
  } while (after !== undefined);
  return stored;
}
