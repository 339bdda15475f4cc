import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import type { TidegateEvent } from '../../src/model/event.ts';
import { makeRunId } from '../../src/model/run.ts';
import { onBothDatabases } from '../journal/both-databases.ts';
import { testEvent } from '../support/events.ts';

const TENANT = 'by-reference';
const ODD =
  '{"b":1,"a":0,"9":"nine","half":"\\ud800","nul":"\\u0000","__proto__":{"x":[1e21,5e-324]}}';

onBothDatabases('data of events', (journals) => {
  let journal: Journal;
  before(async () => {
    journal = await journals.fresh();
  });

  const keep = async (fields: Partial<TidegateEvent> & { readonly id: string }) => {
    const event = testEvent({ tenantid: TENANT, data: null, ...fields });
    await journal.append([{ event, status: 'unrouted', deliveries: [] }]);
    return event;
  };

  it('is given as it came, in the order in which it is asked for, and twice when it is named twice', async () => {
    await keep({ id: '1', data: JSON.parse(ODD) });
    await keep({ id: '2', source: 'b', data: 'of b' });
    await keep({ id: '2', source: 'a', data: 'of a' });
    await keep({ id: '1', tenantid: 'another', data: 'of another' });
    const names = [
      ['a', '2'],
      ['test', '1'],
      ['b', '2'],
      ['test', '1'],
    ].map(([source = '', id = '']) => ({ source, id }));
    const found = await journal.dataOfEvents({ tenant: TENANT }, names);
    const texts = found.map((kept) => kept.status === 'kept' && JSON.stringify(kept.data));
    const odd = JSON.stringify(JSON.parse(ODD));
    assert.deepEqual(texts, ['"of a"', odd, '"of b"', odd]);
  });

  it('is unknown of what is not there, also where no such name can be', async () => {
    await keep({ id: '3', tenantid: 'another', data: 3 });
    const ids = ['3', 'none', '\u0000', '\ud800', "'; drop table events; --"];
    const names = ids.map((id) => ({ source: 'test', id }));
    const found = await journal.dataOfEvents({ tenant: TENANT }, names);
    assert.deepEqual(
      found,
      ids.map(() => ({ status: 'unknown' })),
    );
    assert.deepEqual(await journal.dataOfEvents({ tenant: '\u0000' }, names.slice(0, 1)), [
      { status: 'unknown' },
    ]);
    assert.deepEqual(await journal.dataOfEvents({ tenant: TENANT }, []), []);
  });

  it('is unknown to a run that was not given the event', async () => {
    const of = (key: string) => makeRunId({ flow: 'flow', tenant: TENANT, key });
    const event = testEvent({ tenantid: TENANT, id: 'given', data: 'of one' });
    const target = { flow: 'flow', key: 'one', run: of('one') };
    await journal.append([{ event, status: 'accepted', deliveries: [target] }]);
    const ask = async (key: string) =>
      (await journal.dataOfEvents({ tenant: TENANT, run: of(key) }, [event]))[0]?.status;
    assert.deepEqual([await ask('one'), await ask('two')], ['kept', 'unknown']);
  });

  it('is erased when its time is over', async () => {
    const { id } = await keep({ id: '4', data: 4 });
    const later = new Date(Date.now() + 10 * 86_400_000);
    await journal.eraseDue({ rules: [], days: 1, rememberDays: 400 }, later);
    const [kept] = await journal.dataOfEvents({ tenant: TENANT }, [{ source: 'test', id }]);
    assert.deepEqual(kept, { status: 'erased' });
  });
});
