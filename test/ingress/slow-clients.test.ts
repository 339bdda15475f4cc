/** Senders that hold on to connections, byte for byte as they come. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { createIngressApp } from '../../src/ingress/app.ts';
import { closeServer, createBoundedServer } from '../../src/ingress/connections.ts';
import { isTooSlow } from '../../src/ingress/slow-bodies.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { createLogger } from '../../src/telemetry.ts';
import { until } from '../support/wait.ts';
import { events, flows } from './support.ts';

describe('A body is too slow', () => {
  it('never within its grace, and never at the rate that is asked for', () => {
    fc.assert(
      fc.property(fc.nat(1_048_576), fc.nat(LIMITS.bodyGraceMs), (bytes, ms) => {
        assert.equal(isTooSlow(bytes, ms), false);
      }),
    );
    fc.assert(
      fc.property(fc.nat(60_000), (ms) => {
        assert.equal(isTooSlow(Math.ceil((LIMITS.bodyBytesPerSecondMin * ms) / 1_000), ms), false);
      }),
    );
  });
  it('always in the end, when no more bytes come', () => {
    fc.assert(
      fc.property(fc.nat(LIMITS.bodyBytesMax), (bytes) => {
        const enoughMs = LIMITS.bodyGraceMs + (bytes * 1_000) / LIMITS.bodyBytesPerSecondMin + 1;
        assert.equal(isTooSlow(bytes, enoughMs), true);
      }),
    );
  });
  it('no sooner with more bytes, and no later with more time', () => {
    const amounts = fc.tuple(fc.nat(100_000), fc.nat(100_000), fc.nat(1_000), fc.nat(10_000));
    fc.assert(
      fc.property(amounts, ([bytes, ms, more, longer]) => {
        if (isTooSlow(bytes + more, ms)) assert.ok(isTooSlow(bytes, ms));
        if (isTooSlow(bytes, ms)) assert.ok(isTooSlow(bytes, ms + longer));
      }),
    );
  });
});

describe('The server of an ingress, among senders that hold on to connections', function () {
  this.timeout(30_000);
  let journal: Journal;
  let server: Server;
  let port: number;
  let isStopping = false;
  const sockets: Socket[] = [];
  const BOUNDS = {
    headMs: 1_000,
    requestMs: 20_000,
    idleMs: 15_000,
    lookMs: 200,
    connections: 50,
    requestsPerConnection: 3,
  };

  before(async () => {
    journal = await openJournal({});
    const app = createIngressApp({
      journal,
      catalogue: events,
      flows,
      logger: createLogger({ level: 'silent' }),
      isStopping: () => isStopping,
    });
    server = createBoundedServer(app, BOUNDS).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
    await journal.close();
  });

  interface Raw {
    readonly socket: Socket;
    /** What has come so far. */
    text(): string;
    isClosed(): boolean;
  }
  const open = async (): Promise<Raw> => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    let isClosed = false;
    socket.on('error', () => {});
    socket.on('close', () => {
      isClosed = true;
    });
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    sockets.push(socket);
    await once(socket, 'connect');
    return { socket, text: () => text, isClosed: () => isClosed };
  };
  const head = (length: number | 'chunked', more: readonly string[] = []): string =>
    [
      'POST /events/thing.seen HTTP/1.1',
      'Host: 127.0.0.1',
      'Content-Type: application/json',
      length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`,
      ...more,
      '\r\n',
    ].join('\r\n');
  const closed = (raw: Raw) => until('the connection to be closed', raw.isClosed, 12_000);
  const kept = async () => (await journal.listEvents({}, { limit: 500 })).rows.length;

  it('cuts off bodies that trickle, with and without a length, and takes one that is only late', async () => {
    const before_ = await kept();
    const [long, chunked, silent, late] = [await open(), await open(), await open(), await open()];
    long.socket.write(head(1_000));
    chunked.socket.write(head('chunked'));
    silent.socket.write(head(1_000));
    late.socket.write(head(2));
    let isOver = false;
    const trickle = (async () => {
      while (!isOver) {
        long.socket.write(' ');
        chunked.socket.write('1\r\n \r\n');
        await sleep(100);
      }
    })();
    await sleep(3_000);
    late.socket.write('{}');
    await until('the late body to be taken', () => late.text().startsWith('HTTP/1.1 202'));
    for (const raw of [long, chunked, silent]) {
      await closed(raw);
      assert.match(raw.text(), /^HTTP\/1\.1 408 /);
      assert.match(raw.text(), /"code":"body_too_slow"/);
      assert.match(raw.text(), /connection: close/i);
    }
    isOver = true;
    await trickle;
    assert.equal(await kept(), before_ + 1);
  });

  it('closes connections whose head does not come', async () => {
    const [slow, silent] = [await open(), await open()];
    slow.socket.write('POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
    silent.socket.write('P');
    await closed(slow);
    await closed(silent);
    assert.match(slow.text(), /^HTTP\/1\.1 408 /);
  });

  it('refuses a head that is too large, and too many headers', async () => {
    const large = await open();
    large.socket.write(head(2, [`X-Large: ${'x'.repeat(LIMITS.requestHeadBytesMax)}`]));
    await closed(large);
    assert.match(large.text(), /^HTTP\/1\.1 431 /);

    const most = LIMITS.requestHeadersMax - 3;
    const [many, enough] = [await open(), await open()];
    const headers = Array.from({ length: most + 1 }, (_, n) => `X-${n}: y`);
    many.socket.write(`${head(2, headers)}{}`);
    await until('an answer', () => many.text().includes('too_many_headers'));
    assert.match(many.text(), /^HTTP\/1\.1 431 /);
    enough.socket.write(`${head(2, headers.slice(1))}{}`);
    await until('an answer', () => enough.text().startsWith('HTTP/1.1 202'));
  });

  it('says at the last request of a connection that it was the last, and takes no more', async () => {
    const raw = await open();
    const before_ = await kept();
    for (let n = 1; n <= BOUNDS.requestsPerConnection; n += 1) {
      assert.doesNotMatch(raw.text(), /connection: close/i);
      raw.socket.write(`${head(2)}{}`);
      await until('an answer', () => raw.text().split('HTTP/1.1 202').length === n + 1);
    }
    assert.match(raw.text(), /connection: close/i);
    raw.socket.write(`${head(2)}{}`);
    await until('an answer', () => raw.text().includes('HTTP/1.1 503'));
    assert.equal(await kept(), before_ + BOUNDS.requestsPerConnection);
  });

  it('closes connections beyond its number as they come, and serves those that it has', async () => {
    for (const socket of sockets) socket.destroy();
    await until('the connections to be gone', async () => (await connections()) === 0);
    const first = await open();
    const others = await Promise.all(Array.from({ length: 80 }, open));
    await until(
      'what is too many to be closed',
      () => others.filter((raw) => raw.isClosed()).length === 81 - BOUNDS.connections,
    );
    first.socket.write(`${head(2)}{}`);
    await until('an answer', () => first.text().startsWith('HTTP/1.1 202'));
    for (const raw of others) raw.socket.destroy();
    await until('room', async () => (await connections()) === 1);
    const next = await open();
    next.socket.write(`${head(2)}{}`);
    await until('an answer', () => next.text().startsWith('HTTP/1.1 202'));
  });
  const connections = () =>
    new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));

  it('keeps a connection whose short body it did not read, and closes one with a long body', async () => {
    const [short, long] = [await open(), await open()];
    const encoded = ['Content-Encoding: gzip'];
    short.socket.write(`${head(2, encoded)}{}`);
    long.socket.write(head(LIMITS.bodyBytesMax, encoded));
    await until('an answer', () => short.text().startsWith('HTTP/1.1 415'));
    await closed(long);
    assert.match(long.text(), /^HTTP\/1\.1 415 .*connection: close/is);
    short.socket.write('GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('the next answer', () => short.text().includes('HTTP/1.1 404'));
    short.socket.write(`${head(2)}{}`);
    await until('the next answer', () => short.text().includes('HTTP/1.1 202'));
  });

  it('says that it is stopping, answers what it has, and lets nobody go on', async () => {
    const [probe, inHand, idle] = [await open(), await open(), await open()];
    inHand.socket.write(head(2));
    idle.socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('an answer', () => idle.text().startsWith('HTTP/1.1 200'));
    probe.socket.write('GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('an answer', () => probe.text().startsWith('HTTP/1.1 200'));
    isStopping = true;
    probe.socket.write('GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until('an answer', () => probe.text().includes('HTTP/1.1 503'));
    assert.match(probe.text(), /not_ready.*stopping/);
    const stopped = closeServer(server);
    await closed(idle);
    inHand.socket.write('{}');
    await until('an answer', () => inHand.text().startsWith('HTTP/1.1 202'));
    inHand.socket.write(`${head(2)}{}`);
    await closed(inHand);
    assert.match(inHand.text(), /HTTP\/1\.1 202 .*HTTP\/1\.1 202 .*connection: close/is);
    await assert.rejects(open, { code: 'ECONNREFUSED' });
    await stopped;
  });
});
