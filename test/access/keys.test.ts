import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import { after, before, describe, it } from 'mocha';
import { ACTIONS } from '../../src/access/caller.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { type CreatedApiKey, type ShownApiKey, sameLife } from '../../src/operator/keys.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { assertProblem, type OperatorServer, startOperator } from '../operator/fixtures/server.ts';
import { accessWith, keyIn } from './support.ts';

const DAY = 86_400_000;
const TOKEN = { authorization: 'Bearer the-administrators-token' };

describe('API keys over the operator API', () => {
  const connection = lazyConnection(localTemporal(1));
  let nowMs = Date.parse('2026-11-21T09:00:00Z');
  const now = () => new Date(nowMs);
  const later = (ms: number): string => new Date(nowMs + ms).toISOString();
  let journal: Journal;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    server = await startOperator({
      journal,
      access: accessWith({ keys: journal.apiKeys, token: 'the-administrators-token', now }),
      now,
      flows: flowRegistry({}),
      connectors: [],
      runs: temporalRunOperations(new Client({ connection })),
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    });
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  const post = <Body = CreatedApiKey>(path: string, body: unknown, headers = TOKEN) =>
    server.call<Body>(`/keys${path}`, { headers, body });
  const make = async (fields: object = {}): Promise<CreatedApiKey> => {
    const body = { name: 'ops', tenant: 'acme', actions: ['operate:read'], ...fields };
    const answer = await post('', body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  const read = async (key: string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}` };
    return (await server.call('/runs', { headers })).status;
  };

  it('are made with the administrator’s token, shown once, and stored as a hash', async () => {
    const made = await make({ types: ['invoice.*'], expiresAt: later(DAY) });
    assert.match(made.key, /^tg_[\da-f]{16}_[\da-f]{72}$/);
    assert.equal(await read(made.key), 200);
    assert.equal(made.createdBy, 'token');
    assert.equal(made.state, 'active');

    const listed = await server.call<{ rows: readonly ShownApiKey[] }>('/keys', { headers: TOKEN });
    const row = listed.body.rows.find(({ id }) => id === made.id);
    const { key: _key, ...rest } = made;
    assert.deepEqual({ ...row, lastUsedAt: undefined }, { ...rest, lastUsedAt: undefined });
    const secret = made.key.slice(20, 84);
    const kept = await journal.apiKeys.find(made.id);
    const audit = await journal.audit.list({ target: `key ${made.id}` }, {});
    for (const text of [listed.body, kept, audit].map((value) => JSON.stringify(value))) {
      assert.ok(!text.includes(secret));
    }
    assert.ok(!JSON.stringify(listed.body).includes(kept?.hash ?? 'none'));
    assert.deepEqual(
      audit.rows.map(({ actor, action, tenant }) => [actor, action, tenant]),
      [['token', 'key.create', 'acme']],
    );
  });

  it('say who made them, as the administrator names them', async () => {
    const headers = { ...TOKEN, 'x-actor': 'ada' };
    const body = { name: 'ops', tenant: null, actions: ['operate:read'] };
    assert.equal((await post('', body, headers)).body.createdBy, 'ada');
  });

  it('are refused with everything that is wrong named', async () => {
    const body = {
      name: ' ',
      tenant: 'a:b',
      types: ['in*'],
      actions: ['events:read'],
      expiresAt: '2026-13-01T00:00:00Z',
      more: 1,
    };
    const answer = await server.call('/keys', { headers: TOKEN, body });
    assertProblem(answer, 422, 'key_invalid');
    assert.deepEqual(answer.body.errors?.map(({ path }) => path).sort(), [
      'actions[0]',
      'expiresAt',
      'more',
      'name',
      'tenant',
      'types[0]',
    ]);
    for (const wrong of [
      null,
      [],
      {},
      { name: 'a', actions: ['operate:read'] },
      { name: 'a', tenant: null, actions: [] },
      { name: 'a', tenant: null, actions: ['operate:read'], types: [] },
      { name: 'a', tenant: null, actions: ['operate:read'], expiresAt: later(0) },
      {
        name: 'a',
        tenant: null,
        actions: ['operate:read'],
        notBefore: later(2),
        expiresAt: later(1),
      },
      {
        name: 'a',
        tenant: null,
        actions: ['operate:read'],
        types: Array.from({ length: LIMITS.apiKeyTypesMax + 1 }, () => '*'),
      },
    ]) {
      const { status } = await server.call('/keys', { headers: TOKEN, body: wrong });
      assert.ok(status === 422 || status === 400, JSON.stringify(wrong));
    }
  });

  it('hold from one moment to another', async () => {
    const { key } = await make({ notBefore: later(DAY), expiresAt: later(2 * DAY) });
    assert.equal(await read(key), 401);
    nowMs += DAY;
    assert.equal(await read(key), 200);
    nowMs += DAY;
    const headers = { authorization: `Bearer ${key}` };
    const answer = await server.call('/runs', { headers });
    assertProblem(answer, 401, 'unauthorized');
    assert.match(answer.body.detail, /has expired/);
  });

  it('are rotated with an overlap: both hold until it ends, then the new one alone', async () => {
    const old = await make({ types: ['deal.*'], expiresAt: later(10 * DAY) });
    const { body: made } = await post(`/${old.id}/rotate`, { oldUntil: later(DAY) });
    assert.notEqual(made.id, old.id);
    const pick = ({ name, tenant, types, actions }: ShownApiKey) => ({
      name,
      tenant,
      types,
      actions,
    });
    assert.deepEqual(pick(made), pick(old));
    assert.equal(made.expiresAt, later(10 * DAY));
    nowMs += DAY - 1;
    assert.deepEqual([await read(old.key), await read(made.key)], [200, 200]);
    nowMs += 1;
    assert.deepEqual([await read(old.key), await read(made.key)], [401, 200]);
  });

  it('never live longer by being rotated', async () => {
    const old = await make({ expiresAt: later(DAY) });
    await post(`/${old.id}/rotate`, { oldUntil: later(5 * DAY) });
    assert.equal((await journal.apiKeys.find(old.id))?.expiresAt, later(DAY));
  });

  it('end with the rotation when no overlap is asked for', async () => {
    const old = await make();
    const { body: made } = await post(`/${old.id}/rotate`, {});
    assert.deepEqual([await read(old.key), await read(made.key)], [401, 200]);
    assert.equal(made.expiresAt, undefined);
  });

  it('are not rotated once they have ended', async () => {
    const expired = await make({ expiresAt: later(DAY) });
    const revoked = await make();
    await post(`/${revoked.id}/revoke`, {});
    nowMs += DAY;
    for (const { id } of [expired, revoked]) {
      assertProblem(
        await server.call(`/keys/${id}/rotate`, { headers: TOKEN, body: {} }),
        409,
        'key_inactive',
      );
      const { rows } = await journal.audit.list({ target: `key ${id}`, action: 'key.rotate' }, {});
      assert.deepEqual(rows, []);
    }
  });

  it('are revoked for good, within the time for which a process keeps what it has read', async () => {
    const { id, key } = await make();
    assert.equal(await read(key), 200);
    const { body } = await post<ShownApiKey>(`/${id}/revoke`, {});
    assert.equal(body.state, 'revoked');
    nowMs += LIMITS.apiKeyCacheMs;
    assert.equal(await read(key), 401);
    nowMs += DAY;
    const again = await post<ShownApiKey>(`/${id}/revoke`, {});
    assert.deepEqual(again.body, body);
  });

  it('take times of this millennium, and refuse others instead of failing', async () => {
    const [first, last] = ['2000-01-01T00:00:00+14:00', '2999-12-31T23:59:59.999-14:00'];
    for (const oldUntil of [first, last]) {
      const { id } = await make({ notBefore: first, expiresAt: last });
      assert.equal((await post(`/${id}/rotate`, { oldUntil })).status, 200, oldUntil);
    }
    const body = { name: 'ops', tenant: null, actions: ['operate:read'] };
    for (const time of [
      '0000-01-01T00:00:00Z',
      '1999-12-31T23:59:59Z',
      '9999-12-31T23:59:59-14:00',
    ]) {
      const answer = await server.call('/keys', {
        headers: TOKEN,
        body: { ...body, notBefore: time },
      });
      assertProblem(answer, 422, 'key_invalid');
    }
  });

  it('are unknown by another id', async () => {
    for (const path of ['/keys/0000000000000000/rotate', '/keys/%00/revoke']) {
      assertProblem(await server.call(path, { headers: TOKEN, body: {} }), 404, 'key_not_found');
    }
  });

  it('hand on nothing that their holder does not have', async () => {
    const { headers } = await keyIn(journal, {
      tenant: 'acme',
      types: ['invoice.*'],
      actions: ['keys:write', 'events:write'],
    });
    const body = { name: 'x', tenant: 'acme', types: ['invoice.paid'], actions: ['events:write'] };
    assert.equal((await post('', body, headers)).status, 200);
    for (const more of [
      { tenant: 'globex' },
      { tenant: null },
      { types: ['*'] },
      { types: undefined },
      { types: ['invoice.*', 'deal.won'] },
      { actions: ['operate:read'] },
    ]) {
      const answer = await server.call('/keys', { headers, body: { ...body, ...more } });
      assertProblem(answer, 403, 'forbidden');
    }
    // Who rotates a key has what it allows.
    const strong = await make({ actions: ACTIONS });
    for (const change of ['rotate', 'revoke']) {
      const answer = await server.call(`/keys/${strong.id}/${change}`, { headers, body: {} });
      assertProblem(answer, 403, 'forbidden');
    }
  });
});

describe('the end of a key that replaces another', () => {
  const at = (day: number) => new Date(day * DAY);
  const iso = (day: number) => at(day).toISOString();

  it('is as far away as that of the other was', () => {
    assert.equal(sameLife({ createdAt: iso(1) }, at(5)), undefined);
    assert.deepEqual(sameLife({ createdAt: iso(1), expiresAt: iso(4) }, at(5)), at(8));
    const later = { createdAt: iso(1), notBefore: iso(3), expiresAt: iso(4) };
    assert.deepEqual(sameLife(later, at(5)), at(6));
  });
});
