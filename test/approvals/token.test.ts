import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { type LinkClaims, readLink, signLink, withoutTokens } from '../../src/approvals/token.ts';
import { makeRunId } from '../../src/model/run.ts';

const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
const OTHER = 'another-secret-of-thirty-two-bytes-or';
const NOW = new Date('2026-11-21T12:00:00Z');
const DUE = NOW.getTime() + 60_000;
const CLAIMS: LinkClaims = {
  run: makeRunId({ flow: 'access', tenant: 'acme', key: 'ключ/1' }),
  parkId: '1/approval#1/1',
  approver: 'Zoë <zoe@acme.example>',
};
const UNKNOWN = { status: 'unknown' };

/** A JWT as anybody can make one. */
function forge(header: object, payload: object, digest = 'sha256'): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createHmac(digest, SECRET).update(signed).digest('base64url')}`;
}
const HEADER = { alg: 'HS256', typ: 'approval+jwt' };
const PAYLOAD = {
  run: CLAIMS.run,
  park: CLAIMS.parkId,
  approver: CLAIMS.approver,
  iss: 'tidegate',
  aud: 'tidegate:approvals',
  exp: DUE / 1_000,
};

describe('the token of an approval link', () => {
  let token: string;
  before(async () => {
    token = await signLink(CLAIMS, DUE, [SECRET]);
  });
  const read = (text: string, secrets: readonly string[] = [SECRET], now = NOW) =>
    readLink(text, secrets, now);

  it('says who may speak about what', async () => {
    assert.deepEqual(await read(token), { status: 'valid', claims: CLAIMS });
  });

  it('is the same for the same claims, so that an attempt that is repeated sends the same', async () => {
    assert.equal(await signLink(CLAIMS, DUE, [SECRET]), token);
  });

  it('is refused with any one bit changed', async () => {
    for (let index = 0; index < token.length; index += 1) {
      for (let bit = 0; bit < 7; bit += 1) {
        const changed = String.fromCharCode(token.charCodeAt(index) ^ (1 << bit));
        const tampered = token.slice(0, index) + changed + token.slice(index + 1);
        assert.deepEqual(await read(tampered), UNKNOWN, `bit ${bit} of character ${index}`);
      }
    }
  }).timeout(30_000);

  it('is refused cut off, lengthened, or as any other text', async () => {
    for (let length = 0; length < token.length; length += 1) {
      assert.deepEqual(await read(token.slice(0, length)), UNKNOWN);
    }
    for (const text of [`${token}=`, `${token}A`, `${token}.`, ` ${token}`, 'x'.repeat(100_000)]) {
      assert.deepEqual(await read(text), UNKNOWN, text.slice(0, 20));
    }
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        assert.deepEqual(await read(text), UNKNOWN);
      }),
    );
  });

  it('is refused under every other algorithm, none above all', async () => {
    assert.equal((await read(forge(HEADER, PAYLOAD))).status, 'valid', 'the forger knows how');
    const [, payload] = forge(HEADER, PAYLOAD).split('.');
    for (const [alg, digest] of [
      ['none', 'sha256'],
      ['None', 'sha256'],
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
      ['RS256', 'sha256'],
    ] as const) {
      assert.deepEqual(await read(forge({ ...HEADER, alg }, PAYLOAD, digest)), UNKNOWN, alg);
      const header = Buffer.from(JSON.stringify({ ...HEADER, alg })).toString('base64url');
      assert.deepEqual(await read(`${header}.${payload}.`), UNKNOWN, `${alg}, unsigned`);
    }
  });

  it('is refused when it is a token for something else', async () => {
    for (const [header, payload] of [
      [{ alg: 'HS256' }, PAYLOAD],
      [{ ...HEADER, typ: 'JWT' }, PAYLOAD],
      [{ ...HEADER, crit: ['x'], x: 1 }, PAYLOAD],
      [HEADER, { ...PAYLOAD, aud: 'tidegate:events' }],
      [HEADER, { ...PAYLOAD, iss: 'somebody' }],
      [HEADER, { ...PAYLOAD, aud: undefined }],
      [HEADER, { ...PAYLOAD, exp: undefined }],
      [HEADER, { ...PAYLOAD, exp: 'never' }],
      [HEADER, { ...PAYLOAD, approver: undefined }],
      [HEADER, { ...PAYLOAD, park: 7 }],
    ] as const) {
      assert.deepEqual(
        await read(forge(header, payload)),
        UNKNOWN,
        JSON.stringify([header, payload]),
      );
    }
  });

  it('is refused when somebody else has signed it, also after its time', async () => {
    assert.deepEqual(await read(token, [OTHER]), UNKNOWN);
    assert.deepEqual(await read(token, []), UNKNOWN);
    assert.deepEqual(await read(token, [OTHER], new Date(DUE + 1_000)), UNKNOWN);
  });

  it('says that its time is over', async () => {
    assert.equal((await read(token, [SECRET], new Date(DUE - 1))).status, 'valid');
    assert.deepEqual(await read(token, [SECRET], new Date(DUE)), { status: 'expired' });
    const stray = forge(HEADER, { ...PAYLOAD, aud: 'tidegate:events', exp: 1 });
    assert.deepEqual(await read(stray), UNKNOWN, 'of others not even that');
  });

  it('holds while its secret rotates: the first signs, all verify', async () => {
    assert.equal((await read(token, [OTHER, SECRET])).status, 'valid');
    const next = await signLink(CLAIMS, DUE, [OTHER, SECRET]);
    assert.equal((await read(next, [OTHER])).status, 'valid');
    assert.deepEqual(await read(next, [SECRET]), UNKNOWN);
    const late = new Date(DUE);
    assert.deepEqual(await read(token, [OTHER, SECRET], late), { status: 'expired' });
  });

  it('can be taken out of a text, whole or cut off, wherever it stands', () => {
    const url = `https://t.example/approvals/${token}`;
    const text = `see ${url}, "${url}" and ${url.slice(0, -1)}`;
    const clean = 'https://t.example/approvals/[signed]';
    assert.equal(withoutTokens(text), `see ${clean}, "${clean}" and ${clean}`);
    for (let length = 60; length <= url.length; length += 1) {
      const [, , signature = ''] = token.split('.');
      assert.equal(withoutTokens(url.slice(0, length)).includes(signature.slice(0, 4)), false);
    }
  });
});
