import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, it } from 'mocha';
import type { Journal } from '../../src/journal/journal.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { onBothDatabases } from '../journal/both-databases.ts';

onBothDatabases('API keys in the journal', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  const at = (ms: number): Date => new Date(Date.parse('2026-11-21T09:00:00Z') + ms);
  const create = (fields: { readonly id?: string; readonly tenant?: string | null } = {}) =>
    journal.apiKeys.create({
      id: randomUUID(),
      hash: 'a-hash',
      name: 'Ада',
      tenant: 'acme',
      types: ['invoice.*', 'deal.won'],
      actions: ['events:write'],
      createdAt: at(0),
      createdBy: 'test',
      ...fields,
    });

  it('are found as they were made, with their hash; lists do not have it', async () => {
    const made = await create();
    const found = await journal.apiKeys.find(made.id);
    assert.deepEqual(found, { ...made, hash: 'a-hash' });
    assert.deepEqual(made.types, ['invoice.*', 'deal.won']);
    assert.equal(made.createdAt, at(0).toISOString());
    assert.equal(await journal.apiKeys.find(randomUUID()), undefined);
    assert.equal(await journal.apiKeys.find('\u0000'), undefined);
    const { rows } = await journal.apiKeys.list({}, { limit: 500 });
    assert.ok(rows.every((row) => !('hash' in row)));
  });

  it('are listed page by page, the newest first, of one tenant or of all', async () => {
    const tenant = randomUUID();
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.unshift((await create({ tenant })).id);
    await create({ tenant: null });
    const first = await journal.apiKeys.list({ tenant }, { limit: 2 });
    const rest = await journal.apiKeys.list({ tenant }, { limit: 2, after: first.next ?? '' });
    assert.deepEqual(
      [...first.rows, ...rest.rows].map(({ id }) => id),
      ids,
    );
    assert.equal(rest.next, undefined);
    const all = await journal.apiKeys.list({}, { limit: 500 });
    assert.ok(all.rows.some((row) => row.tenant === null));
  });

  it('are replaced once when two ask at once with no overlap', async () => {
    const { id } = await create();
    const by = () => ({
      id: randomUUID(),
      hash: 'another',
      createdAt: at(10),
      createdBy: 'test',
      oldUntil: at(10),
    });
    const made = await Promise.all([
      journal.apiKeys.replace(id, by()),
      journal.apiKeys.replace(id, by()),
    ]);
    assert.equal(made.filter((row) => row !== undefined).length, 1);
    assert.equal((await journal.apiKeys.find(id))?.expiresAt, at(10).toISOString());
  });

  it('keep the moment at which they were revoked first', async () => {
    const { id } = await create();
    await journal.apiKeys.revoke(id, at(1));
    assert.equal((await journal.apiKeys.revoke(id, at(2)))?.revokedAt, at(1).toISOString());
    assert.equal(await journal.apiKeys.revoke(randomUUID(), at(1)), undefined);
  });

  it('are noted as used once a minute, by any number of processes', async () => {
    const { id } = await create();
    const used: (string | undefined)[] = [];
    for (const ms of [0, 1, LIMITS.apiKeyUseMs - 1, LIMITS.apiKeyUseMs]) {
      await journal.apiKeys.markUsed(id, at(ms));
      used.push((await journal.apiKeys.find(id))?.lastUsedAt);
    }
    const [first, later] = [at(0).toISOString(), at(LIMITS.apiKeyUseMs).toISOString()];
    assert.deepEqual(used, [first, first, first, later]);
  });
});
