import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Journal } from '../../src/journal/journal.ts';
import type { Page, Paged } from '../../src/journal/rows.ts';
import { onBothDatabases } from './both-databases.ts';
import { accepted, event, freshRun, oneTo, target, unique } from './entries.ts';

/** PGlite's clock shows milliseconds: what happens in one of them has no order between kinds. */
const tick = () => sleep(3);

/** All rows of a list, read in pages; between pages something may happen. */
async function everyPage<Row>(
  read: (page: Page) => Promise<Paged<Row>>,
  between: () => Promise<unknown> = async () => {},
): Promise<readonly (readonly Row[])[]> {
  const pages: (readonly Row[])[] = [];
  let after: string | undefined;
  do {
    const { rows, next } = await read({ limit: 3, ...(after !== undefined && { after }) });
    pages.push(rows);
    after = next;
    await between();
    assert.ok(pages.length < 50, 'the list does not end');
  } while (after !== undefined);
  return pages;
}

onBothDatabases('what operators read', ({ shared, fresh }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  it('pages through events, the latest first, while new ones arrive', async () => {
    const tenant = unique('tenant');
    const append = () =>
      journal.append([{ event: event({ tenantid: tenant }), status: 'unrouted', deliveries: [] }]);
    const sent = oneTo(7).map(() => event({ tenantid: tenant }));
    for (const of of sent) {
      await journal.append([{ event: of, status: 'unrouted', deliveries: [] }]);
    }
    const pages = await everyPage((page) => journal.listEvents({ tenant }, page), append);
    assert.deepEqual(
      pages.map((rows) => rows.length),
      [3, 3, 1],
    );
    assert.deepEqual(
      pages.flat().map((row) => row.event.id),
      sent.map(({ id }) => id).reverse(),
    );
  });

  it('ends a list with its last full page', async () => {
    const tenant = unique('tenant');
    const sent = oneTo(3).map(() => event({ tenantid: tenant }));
    await journal.append(sent.map((of) => accepted(of)));
    const { rows, next } = await journal.listEvents({ tenant }, { limit: 3 });
    assert.equal(rows.length, 3);
    assert.equal(next, undefined);
  });

  it('finds events by each attribute', async () => {
    const [tenantid, source, type, correlationid] = ['tenant', 'source', 'type', 'story'].map(
      unique,
    );
    assert.ok(tenantid !== undefined && source !== undefined);
    assert.ok(type !== undefined && correlationid !== undefined);
    const wanted = event({ tenantid, source, type, correlationid });
    await journal.append([
      { event: wanted, status: 'echo', reason: 'our own change', deliveries: [] },
      { event: event(), status: 'filtered', deliveries: [] },
    ]);
    for (const filter of [
      { tenant: tenantid },
      { source },
      { type },
      { correlationId: correlationid },
      { status: 'echo', tenant: tenantid, source, type, correlationId: correlationid },
    ]) {
      const { rows } = await journal.listEvents(filter, {});
      assert.deepEqual(
        rows.map((row) => [row.event.id, row.status, row.reason]),
        [[wanted.id, 'echo', 'our own change']],
      );
    }
    const { rows } = await journal.listEvents({ tenant: tenantid, status: 'filtered' }, {});
    assert.deepEqual(rows, []);
  });

  it('finds nothing for text that cannot be kept', async () => {
    assert.deepEqual(await journal.listEvents({ tenant: 'NUL \0' }, {}), { rows: [] });
    assert.deepEqual(await journal.listRuns({ flow: 'half \ud83d a pair' }, {}), { rows: [] });
    assert.deepEqual(await journal.findEvents(undefined, '\0'), []);
    assert.equal(
      await journal.findRun(target('digest', 'key').run.replace('key', '\0') as never),
      undefined,
    );
  });

  it('refuses a cursor that no page gave', async () => {
    for (const after of ['x', '-1', '1; drop table events', '99999999999999999999', '']) {
      await assert.rejects(journal.listEvents({}, { after }), { code: 'query_invalid' });
      await assert.rejects(journal.listDeadLetters({ after }), { code: 'query_invalid' });
    }
    const after = '9007199254740993-lost-1';
    await assert.rejects(journal.listDeadLetters({ after }), { code: 'query_invalid' });
  });

  it('pages through runs by tenant, flow and status', async () => {
    const tenant = unique('tenant');
    const targets = oneTo(5).map((key) => target(key % 2 === 0 ? 'even' : 'odd', `${key}`, tenant));
    for (const to of targets) await journal.append([accepted(event({ tenantid: tenant }), to)]);
    const runs = async (filter: { flow?: string; status?: string }) => {
      const pages = await everyPage((page) => journal.listRuns({ tenant, ...filter }, page));
      return pages.flat().map(({ key }) => key);
    };
    assert.deepEqual(await runs({}), ['5', '4', '3', '2', '1']);
    assert.deepEqual(await runs({ flow: 'even' }), ['4', '2']);
    const [first] = targets;
    assert.ok(first !== undefined);
    await journal.settleLost(first.run, 1, 'gone');
    assert.deepEqual(await runs({ status: 'settled' }), ['1']);
    assert.deepEqual(await runs({ status: 'open' }), ['5', '4', '3', '2']);
  });

  it('lists all that needs a person, the latest first', async () => {
    const own = await fresh();
    const rejection = (id: string) => ({
      tenant: 'acme',
      source: 'crm',
      id,
      code: 'unknown_type',
      message: 'no contract for deal.lost',
      body: '{"type":"deal.lost"}',
    });
    const [parked, lost, decided] = [freshRun(), freshRun(), freshRun()];
    for (const { entry } of [parked, lost, decided]) await own.append([entry()]);
    const park = {
      workflowRunId: 'w',
      parkId: 'p',
      step: 's',
      errorClass: 'fatal',
      reason: 'r',
    } as const;
    for (const id of ['1', '2']) {
      await own.reject([rejection(id)]);
      await tick();
    }
    await own.activities['journal.park']({ run: parked.run, ...park });
    await own.activities['journal.park']({ run: decided.run, ...park });
    await tick();
    await own.settleLost(lost.run, 1, 'terminated');
    for (const id of ['3', '4', '5', '6']) {
      await tick();
      await own.reject([rejection(id)]);
    }
    await own.activities['journal.resume']({
      run: decided.run,
      parkId: 'p',
      decision: { action: 'skip', reason: 'not needed', actor: 'ada' },
    });
    const pages = await everyPage((page) => own.listDeadLetters(page));
    assert.deepEqual(
      pages.flat().map((letter) => (letter.kind === 'rejected' ? letter.id : letter.kind)),
      ['6', '5', '4', '3', 'lost', 'parked', '2', '1'],
    );
    const found = pages.flat().find(({ kind }) => kind === 'parked');
    assert.ok(found?.kind === 'parked');
    assert.deepEqual([found.run, found.flow, found.tenant], [parked.run, 'digest', 'acme']);
  });

  it('counts a refused event that comes again, and shows its last reason', async () => {
    const own = await fresh();
    const refused = { tenant: 'acme', source: 'crm', id: unique('event'), type: 'deal.lost' };
    const unknown = { ...refused, code: 'unknown_type', message: 'no contract', body: '{}' };
    await own.reject([unknown, unknown]);
    await own.reject([
      {
        ...refused,
        code: 'contract_violation',
        message: 'two problems',
        errors: [{ path: 'amount', message: 'not a number' }],
        body: '{"amount":"x"}',
      },
    ]);
    const { rows } = await own.listDeadLetters({});
    assert.equal(rows.length, 1);
    const [row] = rows;
    assert.ok(row?.kind === 'rejected');
    assert.deepEqual([row.count, row.code, row.body], [3, 'contract_violation', '{"amount":"x"}']);
    assert.deepEqual(row.errors, [{ path: 'amount', message: 'not a number' }]);
  });

  it('keeps a refused event whatever is wrong with it', async () => {
    const own = await fresh();
    const hostile = {
      tenant: '\0',
      source: '\ud83d'.repeat(10),
      id: '事'.repeat(100_000),
      type: "'); drop table events; --",
      code: 'invalid_event',
      message: 'id is too long \0',
      body: '\0\udc00{',
    };
    await own.reject([hostile]);
    await own.reject([hostile]);
    const { rows } = await own.listDeadLetters({});
    assert.equal(rows.length, 1);
    const [row] = rows;
    assert.ok(row?.kind === 'rejected');
    assert.equal(row.count, 2);
    assert.equal(row.body, '\ufffd\ufffd{');
    assert.equal(row.type, hostile.type);
  });
});
