import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { after, before, describe, it } from 'mocha';
import { Registry } from 'prom-client';
import { createAccess } from '../../src/access/authenticate.ts';
import { type RunningIngress, startIngress } from '../../src/ingress/main.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { ingressMetrics } from '../../src/metrics/ingress-metrics.ts';
import { processMetrics } from '../../src/metrics/process-metrics.ts';
import { startMetricsServer } from '../../src/metrics/server.ts';
import { workerMetrics } from '../../src/metrics/worker-metrics.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { makeRunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import { localTemporal } from '../../src/temporal.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';
import { cloudEvent, events, flows, JSON_TYPE, post, STRUCTURED } from './support.ts';

const logger = createLogger({ level: 'silent' });
const page = readFileSync(new URL('../../docs/operating/metrics.md', import.meta.url), 'utf8');

interface Series {
  readonly name: string;
  readonly kind: string;
  readonly labels: readonly string[];
}

/** Every series that any process has, as the registry knows it. */
function registered(): readonly Series[] {
  const registry = new Registry();
  processMetrics(registry);
  workerMetrics(registry);
  ingressMetrics(registry, {
    refusals: { counts: () => [] },
    oldSenders: { list: () => [], unlistedCount: () => 0 },
    refusedCallers: () => [],
    backlog: () => undefined,
    deadLetters: () => undefined,
    shedState: () => ({ backlog: 0, delay: 0 }),
    lanesHeld: () => 0,
    connections: async () => 0,
  });
  return (registry.getMetricsAsArray() as unknown as (Series & { labelNames: string[] })[]).map(
    (metric) => ({
      name: metric.name,
      kind: metric.constructor.name.toLowerCase(),
      labels: metric.labelNames.toSorted(),
    }),
  );
}

const byName = (series: readonly Series[]) =>
  series.toSorted(({ name: one }, { name: other }) => (one < other ? -1 : 1));

describe('docs/operating/metrics.md', () => {
  const rows = [...page.matchAll(/^\| `(tidegate_\w+)` \| (\w+) \| (.*?) \|/gm)];
  const documented = rows.map(([, name = '', kind = '', labels = '']) => ({
    name,
    kind,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted(),
  }));

  it('has each series once, with its kind and its labels', () => {
    assert.deepEqual(byName(documented), byName(registered()));
  });

  it('names no tenant, key or id as a label', () => {
    const labels = new Set(registered().flatMap((series) => series.labels));
    for (const label of ['tenant', 'key', 'id', 'run', 'subject']) assert.ok(!labels.has(label));
  });
});

/** The value of a series, its labels as they stand in the text. */
const numberOf = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('GET /metrics of an ingress', () => {
  let journal: Journal;
  let ingress: RunningIngress;
  let asked = 0;

  before(async () => {
    const opened = await openJournal({});
    journal = {
      ...opened,
      backlog: () => {
        asked += 1;
        return opened.backlog();
      },
    };
    ingress = await startIngress({
      config: { host: '127.0.0.1', port: 0 },
      journal,
      temporal: localTemporal(await freePort()),
      catalogue: events,
      flows,
      sources: [],
      connectors: [],
      logger,
    });
  });
  after(async () => {
    await ingress.stop();
    await journal.close();
  });
  const scrape = async () => (await fetch(`${ingress.url}/metrics`)).text();

  it('counts events by type and status, and invents no type', async () => {
    await post(`${ingress.url}/events`, JSON.stringify(cloudEvent({ id: 'm1' })), STRUCTURED);
    await post(`${ingress.url}/events`, JSON.stringify(cloudEvent({ id: 'm1' })), STRUCTURED);
    await post(`${ingress.url}/events/made.up`, '{}', JSON_TYPE);
    await post(`${ingress.url}/events/deal.stage_changed`, '{"dealId":7}', JSON_TYPE);
    const text = await scrape();
    const total = (type: string, status: string) =>
      numberOf(text, `tidegate_events_total{type="${type}",status="${status}"}`);
    assert.equal(total('thing.seen', 'accepted'), 1);
    assert.equal(total('thing.seen', 'duplicate'), 1);
    assert.equal(total('other', 'rejected'), 1);
    assert.equal(total('deal.stage_changed', 'rejected'), 1);
    assert.ok(!text.includes('made.up'));
  });

  it('measures requests by route and status, and invents no route', async () => {
    for (const path of ['/no/such/1', '/no/such/2', '/api/v1/runs/a:b:c', '/api/v1/nothing']) {
      await fetch(`${ingress.url}${path}`);
    }
    const text = await until('every request to be measured', async () => {
      const scraped = await scrape();
      return /route="\/api\/v1\/runs\/:run",status="404"/.test(scraped) && scraped;
    });
    const routes = new Set([...text.matchAll(/route="(.*?)"/g)].map(([, route]) => route));
    assert.ok(routes.has('/events/:type') && routes.has('/metrics'));
    assert.ok(!text.includes('such'));
    const count = (labels: string) =>
      numberOf(text, `tidegate_http_request_duration_seconds_count{${labels}}`);
    assert.equal(count('route="/events",status="202"'), 2);
    assert.equal(count('route="/events/:type",status="422"'), 1);
    assert.equal(count('route="other",status="404"'), 3);
    assert.ok((numberOf(text, 'tidegate_commit_duration_seconds_count') ?? 0) >= 2);
  });

  it('tells what waits in the journal, from the last time it was asked', async () => {
    const text = await until('the backlog to be seen', async () => {
      const scraped = await scrape();
      return (numberOf(scraped, 'tidegate_backlog_deliveries') ?? 0) >= 1 && scraped;
    });
    assert.ok((numberOf(text, 'tidegate_backlog_runs') ?? 0) >= 1);
    assert.equal(numberOf(text, 'tidegate_shed_level{cause="backlog"}'), 0);
    const before = asked;
    await Promise.all(Array.from({ length: 50 }, scrape));
    assert.ok(asked <= before + 1, 'a scrape asks nothing');
  });

  it('is one of each app: another has counted nothing', async () => {
    const other = new Registry();
    workerMetrics(other);
    assert.doesNotMatch(await other.metrics(), /thing\.seen/);
  });

  it('takes GET only', async () => {
    const answer = await fetch(`${ingress.url}/metrics`, { method: 'POST' });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD');
  });
});

describe('Who may scrape', () => {
  const ask = (port: number, headers: Readonly<Record<string, string>>) =>
    new Promise<number>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path: '/metrics', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });

  it('is whoever is on the machine, and nobody who is led here by a name or a proxy', async () => {
    const port = await freePort();
    const access = createAccess({ local: true, token: 'token-of-the-tests', logger });
    const server = await startMetricsServer(new Registry(), {
      host: '127.0.0.1',
      port,
      access,
      checks: {},
      logger,
    });
    try {
      assert.equal(await ask(port, {}), 200);
      assert.equal(await ask(port, { host: 'evil.example' }), 403);
      assert.equal(await ask(port, { 'x-forwarded-for': '203.0.113.1' }), 401);
    } finally {
      await server.stop();
    }
  });

  it('is elsewhere who may read what operators read', async () => {
    const port = await freePort();
    const access = createAccess({ token: 'token-of-the-tests', logger });
    const registry = new Registry();
    processMetrics(registry);
    const server = await startMetricsServer(registry, {
      host: '127.0.0.1',
      port,
      access,
      checks: {},
      logger,
    });
    try {
      assert.equal(await ask(port, {}), 401);
      assert.equal(await ask(port, { authorization: 'Bearer guess' }), 401);
      assert.equal(await ask(port, { authorization: 'Bearer token-of-the-tests' }), 200);
      assert.equal((await fetch(`http://127.0.0.1:${port}/other`)).status, 404);
      await assert.rejects(
        startMetricsServer(registry, { host: '127.0.0.1', port, access, checks: {}, logger }),
        {
          code: 'port_taken',
          message: /METRICS_PORT/,
        },
      );
    } finally {
      await server.stop();
    }
  });
});

describe('The metrics of a worker', () => {
  const call = { connector: 'crm', operation: 'getDeal' } as OperationCall;

  it('count operations and their attempts by outcome and error class', async () => {
    const registry = new Registry();
    const { operating } = workerMetrics(registry);
    const outcomes: (() => Promise<null>)[] = [
      () => Promise.reject(ApplicationFailure.create({ type: 'transient', nextRetryDelay: 5 })),
      () => Promise.resolve(null),
      () => Promise.reject(ApplicationFailure.create({ type: 'fatal', nonRetryable: true })),
      () => Promise.reject(new CancelledFailure('CANCELLED')),
    ];
    let next = 0;
    const run = async (): Promise<null> => {
      const outcome = outcomes[next];
      next += 1;
      return outcome === undefined ? null : outcome();
    };
    const wrapped = operating({ 'crm.getDeal': run, default: run });
    for (const _ of outcomes) await wrapped['crm.getDeal']?.(call).catch(() => {});
    await wrapped.default?.({ ...call, operation: 'madeUp' });
    const text = await registry.metrics();
    const labelled = (series: string, outcome: string, errorClass: string) =>
      numberOf(
        text,
        `${series}{connector="crm",operation="getDeal",outcome="${outcome}",error_class="${errorClass}"}`,
      );
    assert.equal(labelled('tidegate_operation_attempts_total', 'retried', 'transient'), 1);
    assert.equal(labelled('tidegate_operation_attempts_total', 'cancelled', 'none'), 1);
    assert.equal(labelled('tidegate_operations_total', 'succeeded', 'none'), 1);
    assert.equal(labelled('tidegate_operations_total', 'failed', 'fatal'), 1);
    assert.equal(labelled('tidegate_operations_total', 'retried', 'transient'), undefined);
    assert.ok(!text.includes('madeUp'));
  });

  it('count parks by flow and error class, when they are noted', async () => {
    const registry = new Registry();
    const journal = await openJournal({});
    try {
      const activities = workerMetrics(registry).noting(journal.activities);
      const run = makeRunId({ flow: 'digest', tenant: 'default', key: 'secret-key' });
      const park = { run, workflowRunId: 'w', parkId: '1/x/1', step: 'x#1', reason: 'because' };
      await activities['journal.open']({ run, workflowRunId: 'w', firstNumber: 1 });
      await activities['journal.park']({ ...park, errorClass: 'persistent' });
      const text = await registry.metrics();
      assert.equal(
        numberOf(text, 'tidegate_parks_total{flow="digest",error_class="persistent"}'),
        1,
      );
      assert.ok(!text.includes('secret-key'));
    } finally {
      await journal.close();
    }
  });
});
