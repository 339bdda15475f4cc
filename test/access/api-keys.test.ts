import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  type ApiKeyStore,
  apiKeyHolders,
  apiKeyState,
  makeApiKey,
  readApiKey,
} from '../../src/access/api-keys.ts';
import type { StoredApiKey } from '../../src/journal/rows.ts';
import { LIMITS } from '../../src/model/limits.ts';

const START = Date.parse('2026-11-21T09:00:00Z');
const at = (ms: number): Date => new Date(START + ms);

/** Keys in memory, and what was asked of them. */
function storeOf(...keys: readonly StoredApiKey[]) {
  const rows = new Map(keys.map((key) => [key.id, key]));
  const reads: string[] = [];
  const uses: string[] = [];
  const store: ApiKeyStore = {
    find: async (id) => {
      reads.push(id);
      return rows.get(id);
    },
    markUsed: async (id, when) => void uses.push(`${id} ${when.toISOString()}`),
  };
  return { store, rows, reads, uses };
}

function stored(fields: Partial<StoredApiKey> = {}) {
  const { id, hash, text } = makeApiKey();
  const key: StoredApiKey = {
    id,
    hash,
    name: 'billing',
    tenant: 'acme',
    types: ['invoice.*'],
    actions: ['events:write', 'of-a-later-version'],
    createdAt: at(0).toISOString(),
    createdBy: 'test',
    ...fields,
  };
  return { key, text };
}

const never = (): never => assert.fail('the use of a key was lost');

describe('the text of an API key', () => {
  it('has a fixed shape, 256 bits of secret, and is never the same', () => {
    const texts = new Set(Array.from({ length: 200 }, () => makeApiKey().text));
    assert.equal(texts.size, 200);
    for (const text of texts) assert.match(text, /^tg_[\da-f]{16}_[\da-f]{72}$/);
  });

  it('is read back, and its secret is not in what is stored', () => {
    const { id, text, hash } = makeApiKey();
    assert.deepEqual(readApiKey(text), { id, hash });
    assert.equal(hash.length, 64);
    assert.ok(!text.includes(hash));
  });

  it('is no key with any one character changed, left out, doubled or swapped', () => {
    const { text } = makeApiKey();
    const alphabet = [...'0123456789abcdefABCDEFgtz_- .='];
    for (let index = 0; index < text.length; index += 1) {
      const [before, here, behind] = [text.slice(0, index), text[index], text.slice(index + 1)];
      for (const other of alphabet) {
        if (other !== here) assert.equal(readApiKey(before + other + behind), undefined);
      }
      assert.equal(readApiKey(before + behind), undefined);
      assert.equal(readApiKey(before + here + here + behind), undefined);
      const swapped = before + behind.slice(0, 1) + here + behind.slice(1);
      if (swapped !== text) assert.equal(readApiKey(swapped), undefined);
    }
    assert.equal(readApiKey(text.toUpperCase()), undefined);
    assert.equal(readApiKey(`${text}\n`), undefined);
  });
});

describe('who holds an API key', () => {
  it('is told of nobody by any text but the key itself', async () => {
    const { key, text } = stored();
    const holderOf = apiKeyHolders(storeOf(key).store, never);
    const others = Array.from({ length: 50 }, () => makeApiKey().text);
    // Right in form, with the id of the real one: what somebody would send who has seen a log.
    const forged = fc
      .constantFrom(...others)
      .map((other) => resum(`tg_${key.id}${other.slice(19, -8)}`));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.constantFrom(...others), forged), async (given) => {
        assert.equal((await holderOf(given, at(0))).status, given === text ? 'valid' : 'unknown');
      }),
      { numRuns: 500 },
    );
    assert.equal((await holderOf(text, at(0))).status, 'valid');
  });

  it('is named by the key, with the actions that this version knows', async () => {
    const { key, text } = stored();
    const held = await apiKeyHolders(storeOf(key).store, never)(text, at(0));
    assert.deepEqual(held, {
      status: 'valid',
      caller: {
        id: 'billing',
        kind: 'api-key',
        tenant: 'acme',
        types: ['invoice.*'],
        actions: ['events:write'],
      },
    });
  });

  it('is asked of the journal once in the time that a key is kept, however many ask at once', async () => {
    const { key, text } = stored();
    const { store, reads } = storeOf(key);
    const holderOf = apiKeyHolders(store, never);
    await Promise.all(Array.from({ length: 20 }, () => holderOf(text, at(0))));
    await holderOf(text, at(LIMITS.apiKeyCacheMs - 1));
    assert.equal(reads.length, 1);
    await holderOf(text, at(LIMITS.apiKeyCacheMs));
    assert.equal(reads.length, 2);
  });

  it('is nobody within that time after the key was revoked', async () => {
    const { key, text } = stored();
    const { store, rows } = storeOf(key);
    const holderOf = apiKeyHolders(store, never);
    assert.equal((await holderOf(text, at(0))).status, 'valid');
    rows.set(key.id, { ...key, revokedAt: at(1).toISOString() });
    assert.equal((await holderOf(text, at(LIMITS.apiKeyCacheMs - 1))).status, 'valid');
    assert.deepEqual(await holderOf(text, at(LIMITS.apiKeyCacheMs)), {
      status: 'revoked',
      id: key.id,
    });
  });

  it('is nobody from the moment at which the key ends, also while it is kept', async () => {
    const { key, text } = stored({
      notBefore: at(10).toISOString(),
      expiresAt: at(20).toISOString(),
    });
    const holderOf = apiKeyHolders(storeOf(key).store, never);
    const statuses = [];
    for (const ms of [9, 10, 19, 20]) statuses.push((await holderOf(text, at(ms))).status);
    assert.deepEqual(statuses, ['pending', 'valid', 'valid', 'expired']);
  });

  it('does not remember an id that nobody has, nor a failure of the journal', async () => {
    const { key, text } = stored();
    const { store, rows, reads } = storeOf();
    const holderOf = apiKeyHolders(store, never);
    assert.equal((await holderOf(text, at(0))).status, 'unknown');
    rows.set(key.id, key);
    assert.equal((await holderOf(text, at(0))).status, 'valid');
    assert.equal(reads.length, 2);

    let isAway = true;
    const flaky = apiKeyHolders(
      {
        ...store,
        find: async (id) => (isAway ? Promise.reject(new Error('away')) : store.find(id)),
      },
      never,
    );
    await assert.rejects(flaky(text, at(0)), /away/);
    isAway = false;
    assert.equal((await flaky(text, at(0))).status, 'valid');
  });

  it('costs no query for a text that is mistyped', async () => {
    const { key, text } = stored();
    const { store, reads } = storeOf(key);
    const holderOf = apiKeyHolders(store, never);
    await holderOf(`${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`, at(0));
    assert.deepEqual(reads, []);
  });

  it('is noted at most once a minute, and a note that is lost refuses nobody', async () => {
    const { key, text } = stored();
    const { store, uses } = storeOf(key);
    const holderOf = apiKeyHolders(store, never);
    for (const ms of [0, 1_000, LIMITS.apiKeyUseMs - 1, LIMITS.apiKeyUseMs]) {
      await holderOf(text, at(ms));
    }
    const noted = [at(0), at(LIMITS.apiKeyUseMs)].map((when) => `${key.id} ${when.toISOString()}`);
    assert.deepEqual(uses, noted);

    const lost: unknown[] = [];
    const failing = { ...store, markUsed: () => Promise.reject(new Error('away')) };
    const held = await apiKeyHolders(failing, (error) => void lost.push(error))(text, at(0));
    assert.equal(held.status, 'valid');
    await new Promise(setImmediate);
    assert.equal(lost.length, 1);
  });
});

describe('the state of an API key', () => {
  it('is revoked before it is expired, and expired before it is pending', () => {
    const [early, late] = [at(0).toISOString(), at(10).toISOString()];
    assert.equal(apiKeyState({}, at(5)), 'active');
    assert.equal(apiKeyState({ revokedAt: late, expiresAt: early }, at(5)), 'revoked');
    assert.equal(apiKeyState({ notBefore: late, expiresAt: early }, at(5)), 'expired');
    assert.equal(apiKeyState({ notBefore: late }, at(5)), 'pending');
  });
});

/** A text with the checksum that belongs to it, by the one way there is to learn it. */
function resum(body: string): string {
  return `${body}${createHash('sha256').update(body).digest('hex').slice(0, 8)}`;
}
