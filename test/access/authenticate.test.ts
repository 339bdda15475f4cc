import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, before, describe, it } from 'mocha';
import { makeApiKey } from '../../src/access/api-keys.ts';
import { type AccessOptions, callerOf, requires } from '../../src/access/authenticate.ts';
import type { Caller } from '../../src/access/caller.ts';
import { type Problem, sendProblem } from '../../src/http/problem.ts';
import type { StoredApiKey } from '../../src/journal/rows.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { createLogger } from '../../src/telemetry.ts';
import { freePort } from '../support/free-port.ts';
import { accessWith } from './support.ts';

const TOKEN = 'the-administrators-token';
const made = makeApiKey();
const row: StoredApiKey = {
  id: made.id,
  hash: made.hash,
  name: 'billing',
  tenant: 'acme',
  types: ['*'],
  actions: ['operate:read'],
  createdAt: new Date(0).toISOString(),
  createdBy: 'test',
};
const keys: AccessOptions['keys'] = {
  find: async (id) => (id === row.id ? row : undefined),
  markUsed: async () => undefined,
};

interface Answer {
  readonly status: number;
  readonly challenge: string | undefined;
  readonly body: Partial<Problem & Caller>;
}

describe('a request and its credential', () => {
  const open: Server[] = [];
  const log: string[] = [];
  let pair: Awaited<ReturnType<typeof generateKeyPair>>;
  before(async () => {
    pair = await generateKeyPair('ES256', { extractable: true });
  });
  afterEach(() => {
    for (const server of open.splice(0)) server.close();
    log.length = 0;
  });

  async function listen(app: Parameters<typeof createServer>[1]): Promise<number> {
    const server = createServer(app).listen(0, '127.0.0.1');
    open.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** A server that answers who called. */
  async function serve(options: Partial<AccessOptions>) {
    const logger = createLogger({
      level: 'trace',
      destination: { write: (line) => void log.push(line) },
    });
    const access = accessWith({ logger, ...options });
    const app = express();
    app.get('/', access.authenticate, requires('operate:read'), (req, res) => {
      res.json(callerOf(req));
    });
    app.use((error: unknown, _req: unknown, res: express.Response, _next: unknown) =>
      sendProblem(res, error),
    );
    const port = await listen(app);
    const call = (headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const outgoing = request({ host: '127.0.0.1', port, headers }, async (incoming) => {
          const chunks = (await incoming.toArray()) as Buffer[];
          resolve({
            status: incoming.statusCode ?? 0,
            challenge: incoming.headers['www-authenticate'],
            body: JSON.parse(Buffer.concat(chunks).toString()),
          });
        });
        outgoing.on('error', reject).end();
      });
    const bearer = (text: string) => call({ authorization: `Bearer ${text}` });
    return { access, call, bearer };
  }

  const jwtOptions = async (jwksUrl?: string): Promise<NonNullable<AccessOptions['jwt']>> => {
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'ES256' };
    const port = await listen((_request, response) => {
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    return {
      issuer: 'https://login.acme.example',
      audience: 'tidegate',
      jwksUrl: jwksUrl ?? `http://127.0.0.1:${port}/`,
      tenantClaim: 'tenant',
    };
  };
  const jwt = () =>
    new SignJWT({ scope: 'operate:read', tenant: 'acme' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer('https://login.acme.example')
      .setAudience('tidegate')
      .setSubject('ana@acme.example')
      .setExpirationTime('5m')
      .sign(pair.privateKey);

  it('is told apart by what the credential is, with every way open at once', async () => {
    const developmentKey = makeApiKey().text;
    const { bearer } = await serve({ token: TOKEN, developmentKey, keys, jwt: await jwtOptions() });
    const who = async (text: string) => {
      const { kind, id, tenant } = (await bearer(text)).body;
      return [kind, id, tenant];
    };
    assert.deepEqual(await who(TOKEN), ['token', 'token', null]);
    assert.deepEqual(await who(developmentKey), ['development', 'development', null]);
    assert.deepEqual(await who(made.text), ['api-key', 'billing', 'acme']);
    assert.deepEqual(await who(await jwt()), ['jwt', 'ana@acme.example', 'acme']);
  });

  it('is refused with 401 where its way is not open', async () => {
    const { bearer } = await serve({ token: TOKEN });
    for (const text of [made.text, await jwt(), `${TOKEN}x`, TOKEN.slice(1)]) {
      const { status, body, challenge } = await bearer(text);
      assert.deepEqual([status, body.code], [401, 'unauthorized']);
      assert.equal(challenge, 'Bearer realm="tidegate", error="invalid_token"');
    }
  });

  it('is asked for a credential without one, without a word about an error', async () => {
    const { call } = await serve({ token: TOKEN });
    const { status, challenge } = await call();
    assert.deepEqual([status, challenge], [401, 'Bearer realm="tidegate"']);
    for (const authorization of [TOKEN, `Basic ${TOKEN}`, 'Bearer', `Bearer ${TOKEN} x`]) {
      assert.equal((await call({ authorization })).status, 401, authorization);
    }
    assert.equal((await call({ authorization: `bearer ${TOKEN}` })).status, 200);
  });

  it('needs none from this machine where that is so, but is refused with a wrong one', async () => {
    const { call, bearer } = await serve({ local: true, keys });
    assert.equal((await call()).body.kind, 'local');
    for (const host of ['localhost:3000', '[::1]:3000', 'tidegate.localhost']) {
      assert.equal((await call({ host })).status, 200, host);
    }
    assert.equal((await bearer(makeApiKey().text)).status, 401);
    assert.equal((await bearer(made.text)).body.kind, 'api-key');
  });

  it('is not from this machine by another name, or through a proxy or a tunnel', async () => {
    const developmentKey = makeApiKey().text;
    const { call } = await serve({ local: true, developmentKey });
    for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1']) {
      const { status, body } = await call({ host });
      assert.deepEqual([status, body.code], [403, 'host_refused'], host);
    }
    for (const name of ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']) {
      assert.equal((await call({ [name]: '203.0.113.7' })).status, 401, name);
    }
    const tunnelled = {
      host: 'acme.ngrok.example',
      'x-forwarded-for': '203.0.113.7',
      authorization: `Bearer ${developmentKey}`,
    };
    assert.equal((await call(tunnelled)).body.kind, 'development');
  });

  it('is answered with 503 while the journal or the issuer’s keys are away', async () => {
    const away = () =>
      Promise.reject(new TidegateError('journal_unavailable', 'away at db.internal'));
    const nobody = `http://127.0.0.1:${await freePort()}/`;
    const { bearer } = await serve({
      keys: { find: away, markUsed: away },
      jwt: await jwtOptions(nobody),
    });
    const byKey = await bearer(made.text);
    assert.deepEqual([byKey.status, byKey.body.code], [503, 'journal_unavailable']);
    const byJwt = await bearer(await jwt());
    assert.deepEqual([byJwt.status, byJwt.body.code], [503, 'keys_unavailable']);
    // Where our own servers are is for the log.
    for (const { body } of [byKey, byJwt])
      assert.doesNotMatch(body.detail ?? '', /internal|127\.0/);
    assert.equal(byJwt.challenge, undefined);
  });

  it('is told what is wrong with a credential only when it was one', async () => {
    const revoked = { ...row, revokedAt: new Date(0).toISOString() };
    const { bearer } = await serve({ keys: { ...keys, find: async () => revoked } });
    assert.match((await bearer(made.text)).body.detail ?? '', /has been revoked/);
    // The right id and checksum with another secret.
    const forged = makeApiKey().text;
    assert.match((await bearer(forged)).body.detail ?? '', /is not known here/);
  });

  it('is counted when it is refused, and logged for at most ten a minute, without the credential', async () => {
    let nowMs = Date.parse('2026-11-21T09:00:00Z');
    const expired = { ...row, expiresAt: new Date(0).toISOString() };
    const { access, call, bearer } = await serve({
      token: TOKEN,
      keys: { ...keys, find: async () => expired },
      jwt: await jwtOptions(),
      now: () => new Date(nowMs),
    });
    const wrong = `${await jwt()}x`;
    await call();
    await bearer('hunter2');
    await bearer(made.text);
    await bearer(wrong);
    for (let count = 4; count < LIMITS.refusalLinesMax + 5; count += 1) await bearer('hunter2');
    const unlogged = 5;
    nowMs += 60_000;
    await call();
    assert.deepEqual(
      Object.fromEntries(access.counts().map(({ cause, count }) => [cause, count])),
      { missing: 2, unknown: 1 + LIMITS.refusalLinesMax + 1, key_expired: 1, jwt_invalid: 1 },
    );
    assert.equal(log.length, LIMITS.refusalLinesMax + 1);
    assert.equal(JSON.parse(log.at(-1) ?? '').unlogged, unlogged);
    assert.ok(log.some((line) => line.includes(row.id)));
    for (const secret of ['hunter2', made.text.slice(20), wrong.slice(0, 40), TOKEN]) {
      assert.ok(log.every((line) => !line.includes(secret)));
    }
  });
});
