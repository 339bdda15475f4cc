import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { AuditFilter } from '../../src/journal/audit-log.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { onBothDatabases } from './both-databases.ts';
import { oneTo, unique } from './entries.ts';

onBothDatabases('the audit', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  const entry = { actor: 'ada', action: 'dead_letter.discard', target: 'held-1' };
  const found = async (filter: AuditFilter) => (await journal.audit.list(filter, {})).rows;

  it('tells who did what to what, when, where and why', async () => {
    const tenant = unique('tenant');
    const before = Date.now();
    const full = { ...entry, tenant, reason: 'not ours', details: { flows: ['digest'] } };
    await journal.audit.record(full);
    const [row] = await found({ tenant });
    assert.ok(row !== undefined);
    const { at, ...rest } = row;
    assert.deepEqual(rest, full);
    assert.ok(Math.abs(Date.parse(at) - before) < 60_000);
  });

  it('is found by each attribute and by time', async () => {
    const [actor, action, target, tenant] = ['actor', 'action', 'target', 'tenant'].map(unique);
    assert.ok(actor !== undefined && action !== undefined);
    assert.ok(target !== undefined && tenant !== undefined);
    await journal.audit.record({ actor, action, target, tenant });
    const [row] = await found({ tenant });
    const at = row?.at ?? '';
    const later = new Date(Date.parse(at) + 1_000).toISOString();
    for (const filter of [
      { actor },
      { action },
      { target },
      { tenant },
      { actor, from: at, to: later },
    ]) {
      assert.deepEqual(await found(filter), [row]);
    }
    assert.deepEqual(await found({ actor, from: later }), []);
    assert.deepEqual(
      await found({ actor, to: new Date(Date.parse(at) - 1_000).toISOString() }),
      [],
    );
    assert.deepEqual(await found({ actor: 'a\0' }), []);
  });

  it('pages, the latest first, while entries are written', async () => {
    const tenant = unique('tenant');
    for (const number of oneTo(5)) {
      await journal.audit.record({ ...entry, tenant, target: `held-${number}` });
    }
    const targets: string[] = [];
    let after: string | undefined;
    do {
      const page = await journal.audit.list({ tenant }, { limit: 2, ...(after && { after }) });
      targets.push(...page.rows.map(({ target }) => target));
      after = page.next;
      await journal.audit.record({ ...entry, tenant, target: 'later' });
    } while (after !== undefined);
    assert.deepEqual(targets, ['held-5', 'held-4', 'held-3', 'held-2', 'held-1']);
  });

  it('has an act once that is told again', async () => {
    const tenant = unique('tenant');
    const act = unique('act');
    await journal.audit.record({ ...entry, tenant, act });
    await journal.audit.record({ ...entry, tenant, act });
    assert.equal((await found({ tenant })).length, 1);
  });

  it('takes what PostgreSQL cannot store', async () => {
    const tenant = unique('tenant');
    await journal.audit.record({
      ...entry,
      tenant,
      actor: 'a\0\ud800',
      reason: 'tidegate:sealed:x',
    });
    const [row] = await found({ tenant });
    assert.equal(row?.actor, 'a\ufffd\ufffd');
    assert.match(row?.reason ?? '', /sealed:x/);
  });
});

describe('the code of the audit', () => {
  it('has no statement that changes or deletes an entry', () => {
    const changes =
      /(?:update|delete\s+from|truncate)\s+(?:table\s+)?"?audit\b|(?:updateTable|deleteFrom)\(\s*'audit'/i;
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && changes.test(readFileSync(`src/${file}`, 'utf8')),
    );
    assert.deepEqual(files, []);
    assert.ok(
      changes.test("database.deleteFrom('audit')") && changes.test('delete from audit where'),
    );
  });
});
