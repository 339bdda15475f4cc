import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import type { Router } from 'express';
import { after, before, describe, it } from 'mocha';
import { ACTIONS, type Action } from '../../src/access/caller.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { makeRunId } from '../../src/model/run.ts';
import { type OperatorOptions, operatorRouter } from '../../src/operator/router.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { type OperatorServer, startOperator } from '../operator/fixtures/server.ts';
import { testEvent } from '../support/events.ts';
import { accessWith, keyIn } from './support.ts';

/** What every route needs, and what is asked of it that another tenant's data could be in. */
interface Route {
  readonly method: 'GET' | 'POST';
  readonly route: string;
  readonly needs: Action;
  /** An address that names what belongs to the tenant; default: the route itself. */
  readonly path?: (tenant: string) => string;
  readonly body?: unknown;
  /** What the answer to a caller of another tenant has: nothing of the tenant, or 404. */
  readonly others: 'nothing of it' | 'not found';
}

const run = (tenant: string): string =>
  encodeURIComponent(makeRunId({ flow: 'billing', tenant, key: `secret-of-${tenant}` }));
/** A dead letter of each tenant. */
const letters = new Map<string, string>();
const decision = { action: 'retry', reason: 'tried by another' };

const ROUTES: readonly Route[] = [
  { method: 'GET', route: '/events', needs: 'operate:read', others: 'nothing of it' },
  {
    method: 'GET',
    route: '/events/:id',
    needs: 'operate:read',
    path: (tenant) => `/events/event-of-${tenant}`,
    others: 'not found',
  },
  {
    method: 'GET',
    route: '/trace/:correlationId',
    needs: 'operate:read',
    path: (tenant) => `/trace/story-of-${tenant}`,
    others: 'not found',
  },
  { method: 'GET', route: '/flows', needs: 'operate:read', others: 'nothing of it' },
  { method: 'GET', route: '/connectors', needs: 'operate:read', others: 'nothing of it' },
  { method: 'GET', route: '/contracts', needs: 'operate:read', others: 'nothing of it' },
  { method: 'GET', route: '/runs', needs: 'operate:read', others: 'nothing of it' },
  {
    method: 'GET',
    route: '/runs/:run',
    needs: 'operate:read',
    path: (tenant) => `/runs/${run(tenant)}`,
    others: 'not found',
  },
  {
    method: 'POST',
    route: '/runs/:run/decisions',
    needs: 'operate:write',
    path: (tenant) => `/runs/${run(tenant)}/decisions`,
    body: decision,
    others: 'not found',
  },
  { method: 'GET', route: '/dead-letters', needs: 'operate:read', others: 'nothing of it' },
  {
    method: 'POST',
    route: '/dead-letters/:id/retry',
    needs: 'operate:write',
    path: (tenant) => `/dead-letters/${letters.get(tenant) ?? 'rejected-0'}/retry`,
    body: { reason: 'tried by another' },
    others: 'not found',
  },
  {
    method: 'POST',
    route: '/dead-letters/:id/discard',
    needs: 'operate:write',
    path: (tenant) => `/dead-letters/${letters.get(tenant) ?? 'rejected-0'}/discard`,
    body: { reason: 'tried by another' },
    others: 'not found',
  },
  {
    method: 'POST',
    route: '/events/:id/deliver',
    needs: 'operate:write',
    path: (tenant) => `/events/event-of-${tenant}/deliver`,
    body: { reason: 'tried by another', flows: ['billing'] },
    others: 'not found',
  },
  { method: 'GET', route: '/audit', needs: 'operate:read', others: 'nothing of it' },
  { method: 'GET', route: '/outbox', needs: 'operate:read', others: 'nothing of it' },
  { method: 'GET', route: '/keys', needs: 'keys:write', others: 'nothing of it' },
  { method: 'POST', route: '/keys', needs: 'keys:write', body: {}, others: 'nothing of it' },
  {
    method: 'POST',
    route: '/keys/:id/rotate',
    needs: 'keys:write',
    path: (tenant) => `/keys/key-of-${tenant}/rotate`,
    body: {},
    others: 'not found',
  },
  {
    method: 'POST',
    route: '/keys/:id/revoke',
    needs: 'keys:write',
    path: (tenant) => `/keys/key-of-${tenant}/revoke`,
    body: {},
    others: 'not found',
  },
];

const nameOf = ({ method, route }: Pick<Route, 'method' | 'route'>): string => `${method} ${route}`;

describe('every route of the operator API', () => {
  const connection = lazyConnection(localTemporal(1));
  let journal: Journal;
  let options: OperatorOptions;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    const senders = ['acme', 'globex'].map((tenant) => ({
      source: `source-of-${tenant}`,
      type: 'invoice.paid',
      version: 1,
      count: 1,
      lastAt: new Date(0).toISOString(),
    }));
    const contract = { type: 'invoice.paid', version: 2, unversioned: 2, versions: [] };
    options = {
      journal,
      access: accessWith({ keys: journal.apiKeys, token: 'the-administrators-token' }),
      flows: flowRegistry({}),
      connectors: [],
      // Nothing is asked of it for a caller of another tenant.
      again: {} as never,
      contracts: {
        catalogue: { contracts: { 'invoice.paid': contract as never } },
        oldSenders: { list: () => senders, unlistedCount: () => 3 },
      },
      runs: temporalRunOperations(new Client({ connection })),
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    };
    server = await startOperator(options);
    for (const tenant of ['acme', 'globex']) await fill(journal, tenant);
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  const call = (route: Route, tenant: string, headers: Readonly<Record<string, string>>) =>
    server.call<unknown>(route.path?.(tenant) ?? route.route, {
      method: route.method,
      headers,
      ...(route.body !== undefined && { body: route.body }),
    });

  it('is in the table of this test', () => {
    assert.deepEqual(routesOf(operatorRouter(options)).sort(), ROUTES.map(nameOf).sort());
  });

  it('needs a credential', async () => {
    for (const route of ROUTES) {
      assert.equal((await call(route, 'acme', {})).status, 401, nameOf(route));
    }
  });

  for (const held of ACTIONS) {
    it(`is open to ${held} where it needs that, and else answers 403 with the scope that is missing`, async () => {
      const { headers } = await keyIn(journal, { actions: [held] });
      for (const route of ROUTES) {
        const { status, body, headers: answered } = await call(route, 'nobody', headers);
        const { code, detail = '' } = body as { readonly code?: string; readonly detail?: string };
        if (route.needs === held) assert.notEqual(status, 403, nameOf(route));
        else {
          assert.deepEqual([status, code], [403, 'forbidden'], nameOf(route));
          assert.ok(detail.includes(route.needs), detail);
          assert.equal(
            answered['www-authenticate'],
            `Bearer realm="tidegate", error="insufficient_scope", scope="${route.needs}"`,
          );
        }
      }
    });
  }

  it('shows a caller of one tenant that tenant, and nothing of another', async () => {
    const everything = await keyIn(journal, { tenant: null, actions: ACTIONS });
    const acme = await keyIn(journal, { tenant: 'acme', actions: ACTIONS });
    for (const route of ROUTES.filter(({ method }) => method === 'GET')) {
      const name = nameOf(route);
      const own = await call(route, 'acme', acme.headers);
      assert.equal(own.status, 200, name);
      assert.ok(!JSON.stringify(own.body).includes('globex'), name);
      const all = await call(route, 'globex', everything.headers);
      const other = await call(route, 'globex', acme.headers);
      assert.equal(all.status, 200, name);
      assert.equal(other.status, route.others === 'not found' ? 404 : 200, name);
      // What is not there for others answers as what nobody has.
      if (route.others === 'not found') {
        const none = await call(route, 'nobody', acme.headers);
        const text = JSON.stringify(none.body).replaceAll('nobody', 'globex');
        assert.equal(JSON.stringify(other.body), text, name);
      }
    }
  });

  it('would show it where it should: the table asks for what is there', async () => {
    const { headers } = await keyIn(journal, { tenant: 'globex', actions: ACTIONS });
    for (const route of ROUTES.filter(({ method }) => method === 'GET')) {
      if (['/flows', '/connectors', '/contracts', '/keys'].includes(route.route)) continue;
      const { body } = await call(route, 'globex', headers);
      assert.ok(JSON.stringify(body).includes('globex'), nameOf(route));
    }
  });

  it('does nothing for a caller of another tenant', async () => {
    const { headers } = await keyIn(journal, { tenant: 'acme', actions: ACTIONS });
    const { id } = await keyIn(journal, { tenant: 'globex' });
    for (const route of ROUTES.filter(({ path, method }) => path && method === 'POST')) {
      assert.equal((await call(route, 'globex', headers)).status, 404, nameOf(route));
    }
    for (const change of ['rotate', 'revoke']) {
      const path = `/keys/${id}/${change}`;
      assert.equal((await server.call(path, { headers, body: {} })).status, 404);
    }
    assert.equal((await journal.apiKeys.find(id))?.revokedAt, undefined);
    assert.equal((await journal.apiKeys.find(id))?.expiresAt, undefined);
  });

  it('refuses a filter that names another tenant', async () => {
    const { headers } = await keyIn(journal, { tenant: 'acme', actions: ACTIONS });
    for (const list of ['/events', '/runs', '/dead-letters', '/audit', '/keys']) {
      const other = await server.call(`${list}?tenant=globex`, { headers });
      assert.deepEqual([other.status, other.body.code], [403, 'tenant_forbidden'], list);
      assert.equal((await server.call(`${list}?tenant=acme`, { headers })).status, 200, list);
    }
    const path = '/events/event-of-globex?tenant=globex';
    assert.equal((await server.call(path, { headers })).status, 403);
  });
});

/** One of everything that belongs to a tenant. */
async function fill(journal: Journal, tenant: string): Promise<void> {
  const key = `secret-of-${tenant}`;
  const id = makeRunId({ flow: 'billing', tenant, key });
  const event = testEvent({
    id: `event-of-${tenant}`,
    source: `source-of-${tenant}`,
    tenantid: tenant,
    correlationid: `story-of-${tenant}`,
    data: {},
  });
  const deliveries = [{ flow: 'billing', key, run: id }];
  await journal.append([{ event, status: 'accepted', deliveries }]);
  await journal.activities['journal.open']({ run: id, workflowRunId: tenant, firstNumber: 1 });
  await journal.activities['journal.park']({
    run: id,
    workflowRunId: tenant,
    parkId: 'p',
    step: 'crm.get#1',
    errorClass: 'persistent',
    reason: `of ${tenant}`,
  });
  await journal.reject([
    {
      tenant,
      source: `source-of-${tenant}`,
      id: `refused-of-${tenant}`,
      code: 'unknown_type',
      message: '',
      body: '{}',
    },
  ]);
  const { rows } = await journal.listDeadLetters({}, { tenant, kind: 'rejected' });
  letters.set(tenant, rows[0]?.deadLetter ?? 'none');
  const entry = { actor: `operator-of-${tenant}`, action: 'a', target: 't' };
  await journal.audit.record({ ...entry, tenant });
  await journal.recordOutbox({
    idempotencyKey: tenant,
    connector: 'crm',
    operation: 'write',
    run: id,
    input: { of: tenant },
  });
  await keyIn(journal, { tenant, name: `key-of-${tenant}` });
}

/** The routes that a router has, as Express keeps them. */
function routesOf(router: Router): string[] {
  return router.stack.flatMap(({ route }) =>
    route === undefined
      ? []
      : [
          ...new Set(route.stack.flatMap(({ method }) => (method ? [method.toUpperCase()] : []))),
        ].map((method) => `${method} ${route.path}`),
  );
}
