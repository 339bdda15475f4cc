/**
 * examples/two-way-sync on real parts: two CRMs over HTTP with signed webhooks, the ingress, journal,
 * dispatcher, a Temporal server and a worker.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Crm, startCrm } from '../../examples/two-way-sync/crm.ts';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { loadProject } from '../../src/cli/project.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { bindSources } from '../../src/ingress/source.ts';
import type { EventRow } from '../../src/journal/rows.ts';
import { startTestIngress } from '../ingress/support.ts';
import { type Operations, silent, startEngine, type TestEngine } from '../support/engine.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLE = join(root, 'examples/two-way-sync');

interface Sync {
  readonly alpha: Crm;
  readonly beta: Crm;
  readonly engine: TestEngine;
  /** Resolves when no webhook waits and every run has settled what it may be sent. */
  quiet(): Promise<void>;
  /** Every event of the journal. */
  events(): Promise<readonly EventRow[]>;
  stop(): Promise<void>;
}

async function startSync(directory: string): Promise<Sync> {
  const ports = { alpha: await freePort(), beta: await freePort() };
  const project = await loadProject(directory);
  const env = {
    TIDEGATE_ALPHA_BASE_URL: `http://127.0.0.1:${ports.alpha}`,
    TIDEGATE_ALPHA_TOKEN: 'token-of-alpha',
    TIDEGATE_BETA_BASE_URL: `http://127.0.0.1:${ports.beta}`,
    TIDEGATE_BETA_TOKEN: 'token-of-beta',
    TIDEGATE_SOURCE_ALPHA_SECRET: 'webhook-secret-of-alpha',
    TIDEGATE_SOURCE_BETA_SECRET: 'webhook-secret-of-beta',
  };
  const engine = await startEngine({
    flowsPath: project.flowsPath,
    operations: (journal) =>
      operationActivities(bindConnectors(project.connectors, { env, journal, allowFakes: false }), {
        now: Date.now,
        random: Math.random,
        logger: silent,
        journal,
      }) as Operations,
  });
  const { journal } = engine;
  const ingress = await startTestIngress({
    journal,
    catalogue: project.catalogue,
    flows: project.flows,
    sources: bindSources(project.sources, env),
    onAppended: engine.offer,
  });
  const crm = (name: 'alpha' | 'beta'): Promise<Crm> =>
    startCrm({
      port: ports[name],
      token: `token-of-${name}`,
      secret: `webhook-secret-of-${name}`,
      hook: `${ingress.url}/hooks/${name}`,
    });
  const [alpha, beta] = await Promise.all([crm('alpha'), crm('beta')]);
  return {
    alpha,
    beta,
    engine,
    async quiet() {
      await until(
        'both systems to be quiet',
        async () => {
          if (alpha.waiting + beta.waiting > 0) return false;
          const { rows } = await journal.listRuns({ status: 'open' }, { limit: 500 });
          return rows.every(({ fuseTrippedAt, settledThrough, sentThrough }) =>
            fuseTrippedAt === undefined ? false : settledThrough === sentThrough,
          );
        },
        150_000,
      );
    },
    async events() {
      const rows: EventRow[] = [];
      for (let after: string | undefined; ; ) {
        const page = await journal.listEvents({}, { limit: 500, ...(after && { after }) });
        rows.push(...page.rows);
        if (page.next === undefined) return rows;
        after = page.next;
      }
    },
    async stop() {
      await Promise.all([alpha.stop(), beta.stop()]);
      await ingress.stop();
      await engine.stop();
    },
  };
}

const byKey = (crm: Crm): readonly (readonly [string, object])[] =>
  [...crm.contacts].sort(([one], [other]) => (one < other ? -1 : 1));

describe('examples/two-way-sync', function () {
  this.timeout(200_000);

  it('makes 1,000 syncs of 1,000 edits by people in two CRMs, and lets no echo through', async () => {
    const sync = await startSync(EXAMPLE);
    const { alpha, beta } = sync;
    try {
      // A contact is edited in one system at a time: who was last would else be a matter of chance.
      for (const wave of [0, 1]) {
        for (let edit = 0; edit < 500; edit += 1) {
          const contact = edit % 50;
          const where = (contact + wave) % 2 === 0 ? alpha : beta;
          const fields = { name: `Ada ${wave}-${edit}`, [`field${edit % 3}`]: `value ${edit}` };
          where.edit(`c${contact}`, fields, where === alpha ? 'ana' : 'bo');
        }
        await sync.quiet();
      }
      const events = await sync.events();
      const count = (status: string, origin: string): number =>
        events.filter((row) => row.status === status && row.event.origin.startsWith(origin)).length;
      assert.equal(alpha.apiWrites + beta.apiWrites, 1_000);
      assert.deepEqual([alpha.apiWrites, beta.apiWrites], [500, 500]);
      assert.equal(count('accepted', 'human'), 1_000);
      assert.equal(count('echo', 'tidegate:'), 1_000);
      assert.equal(events.length, 2_000);
      assert.deepEqual(byKey(alpha), byKey(beta));
      assert.equal(alpha.contacts.size, 50);
      const echo = events.find(({ status }) => status === 'echo');
      assert.match(
        echo?.reason ?? '',
        /^it tells of what (alpha|beta)\.updateContact of (alphaToBeta|betaToAlpha)\(c\d+\) wrote$/,
      );
    } finally {
      await sync.stop();
    }
  });

  it('goes in circles without the echo guard, until the fuse holds it', async () => {
    mkdirSync(join(root, '.tidegate'), { recursive: true });
    const directory = mkdtempSync(join(root, '.tidegate', 'two-way-sync-'));
    cpSync(EXAMPLE, directory, { recursive: true });
    const path = join(directory, 'sources.ts');
    const unguarded = readFileSync(path, 'utf8').replace(/^ *change: .*\n/m, '');
    assert.ok(!unguarded.includes('change:'));
    writeFileSync(path, unguarded);
    const sync = await startSync(directory);
    const { alpha, beta, engine } = sync;
    try {
      alpha.edit('c1', { name: 'Ada' }, 'ana');
      const letter = await until(
        'a fuse to trip',
        async () => {
          const { rows } = await engine.journal.listDeadLetters({});
          return rows.find((row) => row.kind === 'fused');
        },
        60_000,
      );
      await sync.quiet();
      assert.equal(letter.flow, 'betaToAlpha');
      assert.equal(letter.key, 'c1');
      assert.deepEqual([letter.count, letter.fuse.limit], [11, 10]);
      const writes = alpha.apiWrites + beta.apiWrites;
      assert.ok(writes > 15 && writes < 25, `one edit of a person made ${writes} writes`);
      assert.deepEqual(
        (await sync.events()).filter(({ status }) => status !== 'accepted'),
        [],
      );
    } finally {
      await sync.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
