import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import { type Keyring, noKeys, readKeyring } from '../../src/encryption/keyring.ts';
import { isOurs, payloadCodec } from '../../src/encryption/payload-codec.ts';
import { seal, unseal } from '../../src/encryption/seal.ts';

const key = () => randomBytes(32).toString('base64');
const [A, B] = [key(), key()];
const ring = (keys: string): Keyring => readKeyring({ TIDEGATE_ENCRYPTION_KEYS: keys });
const old = ring(`k1:${A}`);
const rotated = ring(`k2:${B},k1:${A}`);
const at = { tenant: 'acme', purpose: 'test' };
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const sealed = (keyring: Keyring, text: string, of = at): Uint8Array => {
  const found = seal(keyring, bytes(text), of);
  assert.ok(found);
  return found;
};
const open = (keyring: Keyring, data: Uint8Array, of: Parameters<typeof unseal>[2] = at): string =>
  Buffer.from(unseal(keyring, data, of)).toString();

describe('encryption', () => {
  it('gives back what was sealed, and never the same bytes twice', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.stringMatching(/^[a-z]{0,64}$/),
        (text, tenant) => {
          const one = sealed(old, text, { ...at, tenant });
          assert.equal(open(old, one, { purpose: 'test', tenant }), Buffer.from(text).toString());
          assert.notDeepEqual(one, sealed(old, text, { ...at, tenant }));
        },
      ),
    );
  });

  it('reads with an old key and writes with the new one', () => {
    assert.equal(open(rotated, sealed(old, 'before')), 'before');
    const after = sealed(rotated, 'after');
    assert.equal(open(rotated, after), 'after');
    assert.throws(() => open(old, after), { code: 'encryption_key_unknown', message: /"k2"/ });
    assert.throws(() => open(noKeys(), after), { code: 'encryption_key_unknown' });
    assert.equal(seal(noKeys(), bytes('x'), at), undefined);
  });

  it('notices every changed byte, every cut, another key of the same id, tenant and purpose', () => {
    const whole = sealed(old, 'a secret');
    const refused = { name: 'TidegateError', code: /payload_corrupt|encryption_key_unknown/ };
    for (const index of whole.keys()) {
      const changed = whole.slice();
      changed[index] = (changed[index] ?? 0) ^ 1;
      assert.throws(() => open(old, changed), refused, `byte ${index}`);
      assert.throws(() => open(old, whole.slice(0, index)), refused, `cut at ${index}`);
    }
    const corrupt = { code: 'payload_corrupt' };
    assert.throws(() => open(ring(`k1:${B}`), whole), corrupt);
    assert.throws(() => open(old, whole, { ...at, tenant: 'other' }), corrupt);
    assert.throws(() => open(old, whole, { purpose: 'other' }), corrupt);
  });

  it('gives each tenant and each key id a key of its own', () => {
    const keys = [
      old.dataKey('k1', 'a'),
      old.dataKey('k1', 'b'),
      ring(`k9:${A}`).dataKey('k9', 'a'),
      rotated.dataKey('k2', 'a'),
    ].map((each) => Buffer.from(each).toString('hex'));
    assert.equal(new Set(keys).size, 4);
    assert.ok(keys.every((each) => each.length === 64));
    // The derivation is what stored data rests on: it never changes.
    const fixed = ring(`k1:${Buffer.alloc(32, 7).toString('base64')}`).dataKey('k1', 'acme');
    assert.equal(
      Buffer.from(fixed).toString('hex'),
      '576f07301735a76dbf195ea3f56fc4e8f992c340d8daba2dc900be68fd88a633',
    );
  });

  it('takes its keys from the environment or a file, and never repeats one', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidegate-keys-'));
    const path = join(directory, 'keys');
    writeFileSync(path, `k2:${B}\nk1:${A}\n`);
    assert.equal(readKeyring({ TIDEGATE_ENCRYPTION_KEYS_FILE: path }).current, 'k2');
    assert.equal(readKeyring({}).current, undefined);
    const wrong = [
      { TIDEGATE_ENCRYPTION_KEYS: A },
      { TIDEGATE_ENCRYPTION_KEYS: `k 1:${A}` },
      { TIDEGATE_ENCRYPTION_KEYS: `k1:${A.slice(0, -4)}` },
      { TIDEGATE_ENCRYPTION_KEYS: `k1:${A},` },
      { TIDEGATE_ENCRYPTION_KEYS: `k1:${A},k1:${B}` },
      { TIDEGATE_ENCRYPTION_KEYS: `k1:${A}`, TIDEGATE_ENCRYPTION_KEYS_FILE: path },
      { TIDEGATE_ENCRYPTION_KEYS_FILE: `${path}.not` },
    ];
    for (const environment of wrong) {
      assert.throws(
        () => readKeyring(environment),
        (error: Error & { code?: string }) =>
          error.code === 'config_invalid' && !error.message.includes(A.slice(0, 8)),
        JSON.stringify(Object.keys(environment)),
      );
    }
    rmSync(directory, { recursive: true });
  });
});

describe('the payload codec', () => {
  const payload: Payload = {
    metadata: { encoding: bytes('json/plain'), other: bytes('ü') },
    data: bytes('{"a":1}'),
  };
  const run = { type: 'workflow', namespace: 'default', workflowId: 'flow:acme:k' } as const;

  it('encrypts the whole payload and gives it back', async () => {
    const [encoded] = await payloadCodec(old).encode([payload], run);
    assert.ok(encoded && isOurs(encoded));
    assert.ok(!Buffer.from(encoded.data ?? []).includes('json/plain'));
    assert.deepEqual(await payloadCodec(rotated).decode([encoded], run), [payload]);
    // A codec server is told of no run.
    assert.deepEqual(await payloadCodec(rotated).decode([encoded]), [payload]);
  });

  it('passes on what it did not encrypt, and encrypts nothing without a key', async () => {
    assert.deepEqual(await payloadCodec(old).decode([payload], run), [payload]);
    assert.deepEqual(await payloadCodec(noKeys()).encode([payload], run), [payload]);
  });

  it('refuses a payload of another tenant', async () => {
    const encoded = await payloadCodec(old).encode([payload], run);
    const other = { ...run, workflowId: 'flow:other:k' };
    await assert.rejects(payloadCodec(old).decode(encoded, other), { code: 'payload_corrupt' });
  });
});
