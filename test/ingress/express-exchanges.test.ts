import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createBoundedServer } from '../../src/ingress/connections.ts';

const prototypesOf = (...objects: readonly object[]): readonly unknown[] =>
  objects.map((object) => Object.getPrototypeOf(object));

describe('The server of an ingress and Express', () => {
  it('agree on the prototypes of requests and responses, so that none is changed', async () => {
    const seen: (readonly unknown[])[] = [];
    const app = express().use((request, response) => {
      seen.push(prototypesOf(request, response));
      response.json({ host: request.get('host'), isApp: request.app === app });
    });
    const server = createBoundedServer(app);
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      seen.push(prototypesOf(request, response));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      assert.deepEqual(await answer.json(), { host: `127.0.0.1:${port}`, isApp: true });
      const [before, after] = seen;
      assert.ok(before?.every((prototype, index) => prototype === after?.[index]));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
