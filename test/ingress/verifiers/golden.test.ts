import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Verification } from 'tidegate/ingress';
import { SCHEMES, type Scheme } from './schemes.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const FUTURE_MS = 300_000;

/** Bodies that do not survive being parsed, trimmed or decoded. */
const AWKWARD = ['', ' two  spaces ', '\\/', 'é ü 🎉', '1.0', '\u0000', 'a.b:c;d=e', '\r\n'];

interface Request {
  readonly body?: Uint8Array;
  readonly atMs?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly secrets?: readonly string[];
  readonly url?: string;
  readonly method?: string;
}

for (const scheme of SCHEMES) {
  const bodyOf = (words: string, atMs = NOW): Buffer =>
    Buffer.from(scheme.body?.(words, atMs) ?? `{ "text":${JSON.stringify(words)} }\r\n`);
  const BODY = bodyOf('hello');
  const signedBy = (secret: string, body: Uint8Array = BODY, atMs = NOW) =>
    scheme.sign({ secret, body, atMs });
  const headersOf = (signature: string, body: Uint8Array = BODY, atMs = NOW) =>
    scheme.headers(signature, { secret: scheme.secret, body, atMs });
  const signed = (body: Uint8Array = BODY, atMs = NOW) =>
    headersOf(signedBy(scheme.secret, body, atMs), body, atMs);

  /** What the verifier says of a request that is right but for what is given. */
  async function verdict(request: Request = {}): Promise<Verification> {
    const { body = BODY, atMs = NOW, secrets = [scheme.secret] } = request;
    const url = request.url ?? scheme.url?.(body);
    return scheme.verifier.verify(
      {
        method: request.method ?? 'POST',
        headers: request.headers ?? signed(body, atMs),
        body,
        ...(url === undefined ? {} : { url }),
      },
      { secrets, nowMs: NOW },
    );
  }
  const causeOf = async (request: Request): Promise<string> => {
    const found = await verdict(request);
    return found.status === 'verified' ? 'verified' : found.cause;
  };
  const withSignature = (signature: string) => ({
    ...signed(),
    [scheme.header]: headersOf(signature)[scheme.header] ?? '',
  });

  describe(`The ${scheme.name} verifier`, () => {
    it('takes what the provider signs, also where the body is awkward', async () => {
      for (const words of AWKWARD) {
        assert.equal((await verdict({ body: bodyOf(words) })).status, 'verified', words);
      }
    });

    it('refuses the change of any byte of the body', async () => {
      const url = scheme.url?.(BODY);
      for (const at of BODY.keys()) {
        for (const bit of [1, 0x80]) {
          const body = Buffer.from(BODY);
          body[at] = (body[at] ?? 0) ^ bit;
          const changed = { body, headers: signed(), ...(url === undefined ? {} : { url }) };
          assert.notEqual((await verdict(changed)).status, 'verified', `byte ${at}`);
        }
      }
      for (const body of [BODY.subarray(1), BODY.subarray(0, -1), Buffer.concat([BODY, BODY])]) {
        const changed = { body, headers: signed(), ...(url === undefined ? {} : { url }) };
        assert.notEqual((await verdict(changed)).status, 'verified');
      }
    });

    it('refuses a changed byte anywhere in a long body', async () => {
      const long = bodyOf('x'.repeat(100_000));
      const headers = signed(long);
      const url = scheme.url?.(long);
      for (let at = 0; at < long.length; at += 9_973) {
        const body = Buffer.from(long);
        body[at] = (body[at] ?? 0) ^ 1;
        const changed = { body, headers, ...(url === undefined ? {} : { url }) };
        assert.notEqual((await verdict(changed)).status, 'verified', `byte ${at}`);
      }
    });

    it('refuses the change of any letter of the signature', async () => {
      const right = signedBy(scheme.secret);
      for (const at of Array.from(right).keys()) {
        const letter = right[at] === '0' ? '1' : '0';
        const signature = right.slice(0, at) + letter + right.slice(at + 1);
        assert.notEqual((await verdict({ headers: withSignature(signature) })).status, 'verified');
      }
    });

    it('refuses a signature of another shape', async () => {
      const right = signedBy(scheme.secret);
      const shapes = [
        right.slice(1),
        right.slice(0, -1),
        `${right}${right}`,
        `${right.slice(0, -2)} ${right.slice(-2)}`,
        `${right.slice(0, -2)}-_`,
        'not a signature',
        ...(scheme.encoding === 'hex' ? [right.toUpperCase(), `0x${right}`] : []),
        ...(right.endsWith('=') ? [right.replace(/=+$/, ''), `${right}=`] : []),
      ].filter((shape) => shape !== right);
      for (const shape of shapes) {
        const found = await causeOf({ headers: withSignature(shape) });
        assert.match(found, /^(header_malformed|signature_unknown|signature_mismatch)$/, shape);
      }
    });

    it('refuses base64 whose last letter has bits of no byte', async () => {
      const right = signedBy(scheme.secret);
      const match = /^(.*)([A-Za-z0-9+/])(={1,2})$/.exec(right);
      if (scheme.encoding === 'hex' || match === null) return;
      const [, start = '', last = '', padding = ''] = match;
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
      const twin = `${start}${letters[letters.indexOf(last) + 1]}${padding}`;
      assert.deepEqual(Buffer.from(twin, 'base64'), Buffer.from(right, 'base64'));
      assert.equal(await causeOf({ headers: withSignature(twin) }), 'header_malformed');
    });

    it('refuses another label, or none', async () => {
      const right = signedBy(scheme.secret);
      const value = signed()[scheme.header] ?? '';
      const labels = scheme.label === '' ? ['sha256=', 'v9='] : ['', 'v9=', 'sha512='];
      for (const label of labels) {
        const other = value.replace(`${scheme.label}${right}`, () => `${label}${right}`);
        const found = await causeOf({ headers: { ...signed(), [scheme.header]: other } });
        assert.match(found, /^(header_malformed|signature_unknown)$/, other);
      }
    });

    it('says that a signature is missing when the header is, or is empty', async () => {
      for (const value of [undefined, '', []]) {
        const found = await verdict({ headers: { ...signed(), [scheme.header]: value } });
        assert.deepEqual(found, { status: 'missing', cause: 'header_missing' });
      }
    });

    it('refuses any of its headers twice', async () => {
      for (const [name, value] of Object.entries(signed())) {
        if (name === 'content-type') continue;
        const headers = { ...signed(), [name]: [value, value] };
        assert.equal(await causeOf({ headers }), 'header_repeated', name);
      }
    });

    it('refuses another secret, takes any of several, and tells which', async () => {
      assert.equal(await causeOf({ secrets: [scheme.other] }), 'signature_mismatch');
      const { secret, other } = scheme;
      for (const [index, secrets] of [
        [0, [secret, other]],
        [1, [other, secret]],
      ] as const) {
        const found = await verdict({ secrets });
        assert.equal(found.status === 'verified' && found.secretIndex, index);
      }
    });

    it('never works with an empty or blank secret, nor with one of the wrong shape', async () => {
      for (const secrets of [[], [''], [' \t'], [scheme.secret, '']]) {
        await assert.rejects(verdict({ secrets }), { code: 'config_invalid' });
      }
      for (const secret of ['', ' ']) {
        assert.notEqual(scheme.verifier.secretProblem(secret), undefined);
      }
      for (const secret of [scheme.secret, scheme.other]) {
        assert.equal(scheme.verifier.secretProblem(secret), undefined);
      }
    });

    timeTests({ scheme, verdict, causeOf, signed, bodyOf });
    listTests({ scheme, causeOf, signed, signedBy });
    addressTests({ scheme, causeOf });
  });
}

function timeTests(tools: {
  readonly scheme: Scheme;
  readonly verdict: (request: Request) => Promise<Verification>;
  readonly causeOf: (request: Request) => Promise<string>;
  readonly signed: (body: Uint8Array, atMs: number) => Readonly<Record<string, string>>;
  readonly bodyOf: (words: string, atMs?: number) => Buffer;
}): void {
  const { scheme, verdict, causeOf, signed, bodyOf } = tools;
  const { time } = scheme;
  if (time === undefined) return;
  const at = (atMs: number): Request => ({ atMs, body: bodyOf('hello', atMs) });

  it('refuses what is too old or too far ahead, and takes what is just in time', async () => {
    const futureMs = Math.min(time.pastMs, FUTURE_MS);
    assert.equal(await causeOf(at(NOW - time.pastMs)), 'verified');
    assert.equal(await causeOf(at(NOW + futureMs)), 'verified');
    assert.deepEqual(await verdict(at(NOW - time.pastMs - 1_000)), {
      status: 'expired',
      cause: 'timestamp_expired',
    });
    assert.deepEqual(await verdict(at(NOW + futureMs + 1_000)), {
      status: 'future',
      cause: 'timestamp_future',
    });
  });

  if (time.unit === 'body') {
    it('refuses a signed body without a time in milliseconds', async () => {
      for (const sentAt of [undefined, String(NOW), null, NOW / 1_000, NaN]) {
        const body = Buffer.from(JSON.stringify({ webhookTimestamp: sentAt }));
        assert.match(await causeOf({ body }), /^timestamp_(malformed|expired)$/);
      }
      for (const words of ['[]', '"text"', 'no JSON', '']) {
        assert.equal(await causeOf({ body: Buffer.from(words) }), 'body_malformed');
      }
    });
    return;
  }

  it('refuses another time than the signed one', async () => {
    const body = bodyOf('hello');
    const other = signed(body, NOW + 1_000);
    const right = signed(body, NOW);
    const headers: Request['headers'] =
      time.header === undefined
        ? {
            [scheme.header]: (right[scheme.header] ?? '').replace(
              /\d{10}/,
              String(NOW / 1_000 + 1),
            ),
          }
        : { ...right, [time.header]: other[time.header] };
    assert.equal(await causeOf({ headers }), 'signature_mismatch');
  });

  it('refuses a time of another shape or unit', async () => {
    const right = signed(bodyOf('hello'), NOW);
    const value = right[time.header ?? scheme.header] ?? '';
    const text = /\d{4}-[^,;]*Z|\d{10,13}/.exec(value)?.[0] ?? '';
    const unit = time.unit === 'seconds' ? String(NOW) : String(NOW / 1_000);
    for (const wrong of [
      unit,
      `${text}abc`,
      ` ${text}x`,
      `0${text}`,
      `+${text}`,
      `${text}.5`,
      'NaN',
      '-1',
    ]) {
      const headers: Request['headers'] = {
        ...right,
        [time.header ?? scheme.header]: value.replace(text, wrong),
      };
      assert.equal(await causeOf({ headers }), 'timestamp_malformed', wrong);
    }
  });

  it('refuses a signature without its time', async () => {
    const right = signed(bodyOf('hello'), NOW);
    const headers: Request['headers'] =
      time.header === undefined
        ? { [scheme.header]: (right[scheme.header] ?? '').replace(/^[^,;]*[,;]/, '') }
        : { ...right, [time.header]: undefined };
    assert.match(await causeOf({ headers }), /^(header_missing|timestamp_malformed)$/);
  });
}

function listTests(tools: {
  readonly scheme: Scheme;
  readonly causeOf: (request: Request) => Promise<string>;
  readonly signed: () => Readonly<Record<string, string>>;
  readonly signedBy: (secret: string) => string;
}): void {
  const { scheme, causeOf, signed, signedBy } = tools;
  const { separator, label, header } = scheme;
  const value = signed()[header] ?? '';
  const right = `${label}${signedBy(scheme.secret)}`;
  const wrong = `${label}${signedBy(scheme.other)}`;
  const withItems = (...items: readonly string[]): Request => ({
    headers: { ...signed(), [header]: value.replace(right, () => items.join(separator ?? ',')) },
  });

  if (separator === undefined) {
    it('takes no list of signatures', async () => {
      for (const items of [
        [right, wrong],
        [wrong, right],
      ]) {
        assert.match(await causeOf(withItems(...items)), /^(header_malformed|signature_unknown)$/);
      }
    });
    return;
  }

  it('takes any of several signatures, wherever it stands', async () => {
    for (const items of [
      [right, wrong],
      [wrong, right],
      [wrong, right, wrong],
      ['v9=whatever', right],
      [right, 'no label at all'.replaceAll(' ', '-')],
      [`${label}broken`, right],
    ]) {
      assert.equal(await causeOf(withItems(...items)), 'verified', items.join());
    }
  });

  it('passes other schemes over, and refuses a list without a signature of its own', async () => {
    assert.equal(await causeOf(withItems('v9=whatever', 'v8,other')), 'signature_unknown');
    assert.equal(await causeOf(withItems(wrong, wrong)), 'signature_mismatch');
    assert.equal(await causeOf(withItems(`${label}broken`)), 'header_malformed');
  });

  it('refuses a list that is too long to be worth the work', async () => {
    assert.equal(
      await causeOf(withItems(...Array.from({ length: 11 }, () => wrong), right)),
      'header_malformed',
    );
  });
}

function addressTests(tools: {
  readonly scheme: Scheme;
  readonly causeOf: (request: Request) => Promise<string>;
}): void {
  const { scheme, causeOf } = tools;
  const { url } = scheme;
  it(`${url === undefined ? 'needs no' : 'signs the'} address`, async () => {
    assert.equal(scheme.verifier.needsUrl, url !== undefined);
    if (url === undefined) return;
    const called = url(Buffer.from('{ "text":"hello" }\r\n'));
    assert.equal(await causeOf({ url: called }), 'verified');
    for (const other of [
      called.replace('https', 'http'),
      called.replace('acme', 'evil'),
      called.replace('?', '/?'),
      called.replace('shop=1&b=2', 'b=2&shop=1'),
    ]) {
      assert.equal(await causeOf({ url: other }), 'signature_mismatch', other);
    }
  });
}
