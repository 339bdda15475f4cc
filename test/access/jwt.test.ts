import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { after, before, describe, it } from 'mocha';
import { type JwtOptions, jwtReader } from '../../src/access/jwt.ts';
import { TidegateError } from '../../src/model/error.ts';
import { freePort } from '../support/free-port.ts';

const ISSUER = 'https://login.acme.example';
const AUDIENCE = 'tidegate';
const NOW = new Date('2026-11-21T09:00:00Z');
const SECOND = Math.floor(NOW.getTime() / 1_000);

interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

async function makeKey(kid: string, alg = 'RS256'): Promise<Key> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, ...pair };
}

const publicJwk = async ({ kid, alg, publicKey }: Key): Promise<JWK> => ({
  ...(await exportJWK(publicKey)),
  kid,
  alg,
  use: 'sig',
});

const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'ana@acme.example',
  exp: SECOND + 300,
  tenant: 'acme',
  scope: 'events:write operate:read openid',
} as const;

const sign = ({ kid, alg, privateKey }: Key, claims: JWTPayload = CLAIMS, header = {}) =>
  new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);

describe('a JWT of the issuer', () => {
  let server: Server;
  let first: Key;
  let published: readonly Key[] = [];
  let answer: (() => string) | undefined;
  let fetches = 0;
  let options: JwtOptions;

  before(async () => {
    first = await makeKey('first');
    server = createServer(async (_request, response) => {
      fetches += 1;
      const keys = await Promise.all(published.map(publicJwk));
      response.setHeader('Content-Type', 'application/json');
      response.end(answer?.() ?? JSON.stringify({ keys }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const jwksUrl = `http://127.0.0.1:${port}/.well-known/jwks.json`;
    options = { issuer: ISSUER, audience: AUDIENCE, jwksUrl, tenantClaim: 'tenant' };
  });
  beforeEach(() => {
    published = [first];
    answer = undefined;
    fetches = 0;
  });
  after(() => void server.close());

  const read = async (token: string) => jwtReader(options)(token, NOW);
  const causeOf = async (token: string) => {
    const result = await read(token);
    return result.status === 'refused' ? result.cause : result.status;
  };

  it('says who calls, for which tenant, and what they may do of what we know', async () => {
    assert.deepEqual(await read(await sign(first)), {
      status: 'valid',
      caller: {
        id: 'ana@acme.example',
        kind: 'jwt',
        tenant: 'acme',
        types: ['*'],
        actions: ['events:write', 'operate:read'],
      },
    });
  });

  it('has its scopes in scope or in scp, as text or as a list', async () => {
    const actionsOf = async (claims: JWTPayload) => {
      const { scope: _scope, ...others } = CLAIMS;
      const result = await read(await sign(first, { ...others, ...claims }));
      return result.status === 'valid' ? result.caller.actions : result.cause;
    };
    assert.deepEqual(await actionsOf({ scp: ['operate:read', 'operate:write'] }), [
      'operate:read',
      'operate:write',
    ]);
    assert.deepEqual(await actionsOf({ scp: 'keys:write' }), ['keys:write']);
    assert.deepEqual(await actionsOf({ scope: 'keys:writer xkeys:write', scp: [7, null] }), []);
    assert.deepEqual(await actionsOf({}), []);
  });

  it('is of the tenant default without the claim, and of every tenant only with a star', async () => {
    const tenantOf = async (claims: JWTPayload) => {
      const { tenant: _tenant, ...others } = CLAIMS;
      const result = await read(await sign(first, { ...others, ...claims }));
      return result.status === 'valid' ? result.caller.tenant : result.cause;
    };
    assert.equal(await tenantOf({}), 'default');
    assert.equal(await tenantOf({ tenant: '*' }), null);
    for (const tenant of ['', 'a:b', null, 5, ['acme'], ['*'], { acme: true }, 'a b']) {
      assert.equal(await tenantOf({ tenant }), 'claims', JSON.stringify(tenant));
    }
    const elsewhere = jwtReader({ ...options, tenantClaim: 'https://acme.example/tenant' });
    const claims = { ...CLAIMS, 'https://acme.example/tenant': 'globex' };
    const result = await elsewhere(await sign(first, claims), NOW);
    assert.equal(result.status === 'valid' && result.caller.tenant, 'globex');
    // A name that every object has is no claim.
    const inherited = await jwtReader({ ...options, tenantClaim: 'constructor' })(
      await sign(first),
      NOW,
    );
    assert.equal(inherited.status === 'valid' && inherited.caller.tenant, 'default');
  });

  it('is refused from another issuer, for another audience, without a subject or an end', async () => {
    const wrong: readonly JWTPayload[] = [
      { iss: 'https://evil.example' },
      { iss: `${ISSUER}/` },
      { iss: undefined as never },
      { aud: 'another-service' },
      { aud: ['another-service'] },
      { aud: undefined as never },
      { sub: undefined as never },
      { sub: '' },
      { sub: 'a\u0000b' },
      { sub: 'a'.repeat(201) },
      { exp: undefined as never },
      { nbf: SECOND + 31 },
    ];
    for (const claims of wrong) {
      const token = await sign(first, { ...CLAIMS, ...claims });
      assert.equal(await causeOf(token), 'claims', JSON.stringify(claims));
    }
    assert.equal(await causeOf(await sign(first, { ...CLAIMS, aud: ['x', AUDIENCE] })), 'valid');
  });

  it('is refused when it has expired, but for thirty seconds by which clocks may differ', async () => {
    const ending = (seconds: number) => sign(first, { ...CLAIMS, exp: SECOND + seconds });
    assert.equal(await causeOf(await ending(-29)), 'valid');
    assert.equal(await causeOf(await ending(-31)), 'expired');
    assert.equal(await causeOf(await sign(first, { ...CLAIMS, nbf: SECOND + 29 })), 'valid');
  });

  it('is refused unsigned, and signed with the public key as if that were a secret', async () => {
    assert.equal(await causeOf(new UnsecuredJWT(CLAIMS).encode()), 'invalid');
    const secrets = [
      await exportSPKI(first.publicKey),
      JSON.stringify(await publicJwk(first)),
      (await publicJwk(first)).n ?? '',
    ];
    for (const secret of secrets) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        const token = await new SignJWT(CLAIMS)
          .setProtectedHeader({ alg, kid: first.kid })
          .sign(new TextEncoder().encode(secret));
        assert.equal(await causeOf(token), 'invalid', alg);
      }
    }
  });

  it('is refused with HS256 also where a secret is published among the keys', async () => {
    const secret = 'a-secret-that-should-not-be-here-at-all';
    const k = Buffer.from(secret).toString('base64url');
    answer = () => JSON.stringify({ keys: [{ kty: 'oct', kid: 'oct', alg: 'HS256', k }] });
    const token = await new SignJWT(CLAIMS)
      .setProtectedHeader({ alg: 'HS256', kid: 'oct' })
      .sign(new TextEncoder().encode(secret));
    assert.equal(await causeOf(token), 'invalid');
  });

  it('is refused from a key that is not published, and with a key in its own header', async () => {
    const strange = await makeKey(first.kid);
    assert.equal(await causeOf(await sign(strange)), 'invalid');
    assert.equal(await causeOf(await sign(await makeKey('unknown'))), 'invalid');
    const jwk = await publicJwk(strange);
    const header = { jwk, jku: 'https://evil.example/jwks.json' };
    assert.equal(await causeOf(await sign(strange, CLAIMS, header)), 'invalid');
  });

  it('is refused with any byte of its claims or signature changed, and as any other text', async () => {
    const token = await sign(first);
    const [header = '', claims = '', signature = ''] = token.split('.');
    const flip = (part: string, index: number) => {
      const bytes = Buffer.from(part, 'base64url');
      bytes[index] = (bytes[index] ?? 0) ^ 1;
      return bytes.toString('base64url');
    };
    const reader = jwtReader(options);
    const statuses = new Set<string>();
    for (let index = 0; index < Buffer.from(claims, 'base64url').length; index += 7) {
      statuses.add((await reader(`${header}.${flip(claims, index)}.${signature}`, NOW)).status);
    }
    for (let index = 0; index < Buffer.from(signature, 'base64url').length; index += 13) {
      statuses.add((await reader(`${header}.${claims}.${flip(signature, index)}`, NOW)).status);
    }
    for (const text of ['..', 'a.b.c', `${header}.${claims}.`, `${header}..${signature}`]) {
      statuses.add((await reader(text, NOW)).status);
    }
    assert.deepEqual([...statuses], ['refused']);
  });

  it('is taken of every kind of key pair that issuers have', async () => {
    for (const alg of ['PS256', 'ES256', 'ES384', 'EdDSA']) {
      const key = await makeKey(alg, alg);
      published = [key];
      assert.equal(await causeOf(await sign(key)), 'valid', alg);
    }
  });

  it('is taken of a new key once it is published, and the keys are fetched no oftener than needed', async () => {
    const reader = jwtReader(options, { refetchMs: 0 });
    const second = await makeKey('second');
    const statuses: string[] = [];
    const note = async (key: Key) =>
      void statuses.push((await reader(await sign(key), NOW)).status);
    await note(first);
    await note(first);
    assert.equal(fetches, 1);
    await note(second);
    published = [first, second];
    await note(second);
    await note(first);
    assert.deepEqual(statuses, ['valid', 'valid', 'refused', 'valid', 'valid']);
    assert.equal(fetches, 3);
  });

  it('makes nobody fetch the keys again and again who names keys that do not exist', async () => {
    const reader = jwtReader(options);
    await reader(await sign(first), NOW);
    const strange = await makeKey('strange');
    for (let time = 0; time < 5; time += 1) await reader(await sign(strange), NOW);
    assert.equal(fetches, 1);
  });

  it('is answered with keys_unavailable, and not refused, while the keys cannot be had', async () => {
    const token = await sign(first);
    const unavailable = (error: unknown) => TidegateError.is(error, 'keys_unavailable');
    const nobody = `http://127.0.0.1:${await freePort()}/jwks.json`;
    await assert.rejects(jwtReader({ ...options, jwksUrl: nobody })(token, NOW), unavailable);
    const reader = jwtReader(options);
    for (const text of ['', 'not json', '{}', '{"keys":{}}', 'null']) {
      answer = () => text;
      await assert.rejects(reader(token, NOW), unavailable, text);
    }
    answer = undefined;
    assert.equal((await reader(token, NOW)).status, 'valid');
  });
});
