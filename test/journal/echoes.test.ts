import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import type { Json } from '../../src/model/event.ts';
import { makeRunId } from '../../src/model/run.ts';
import { until } from '../support/wait.ts';
import { onBothDatabases } from './both-databases.ts';
import { accepted, event, unique } from './entries.ts';

onBothDatabases('writes of connectors and their echoes', (journals) => {
  let journal: Journal;
  before(async () => {
    journal = await journals.shared();
  });

  const run = makeRunId({ flow: 'sync', tenant: 'acme', key: '7' });
  const change = (object: string, fields: Readonly<Record<string, Json>>) => ({
    system: 'crm',
    object,
    fields,
  });
  async function write(
    object: string,
    fields: Readonly<Record<string, Json>>,
    { echoMs = 60_000, idempotencyKey = unique('write'), tenant = 'acme' } = {},
  ): Promise<string> {
    const written = { tenant, run, operation: 'crm.update', change: change(object, fields) };
    await journal.recordWrite({ ...written, idempotencyKey, echoMs });
    return idempotencyKey;
  }
  const told = (object: string, fields: Readonly<Record<string, Json>>, of = event()) => ({
    event: of,
    change: change(object, fields),
  });
  async function isEcho(...args: Parameters<typeof told>): Promise<boolean> {
    const [verdict] = await journal.claimEchoes([told(...args)]);
    return verdict !== undefined;
  }

  it('knows an echo and whose it is, once; the same event again gets the same answer', async () => {
    const object = unique('contact');
    await write(object, { name: 'Ada', tags: { b: 1, a: [2] } });
    const echo = told(object, { tags: { a: [2], b: 1 }, name: 'Ada' });
    const writer = { run, operation: 'crm.update' };
    assert.deepEqual(await journal.claimEchoes([echo]), [writer]);
    assert.deepEqual(await journal.claimEchoes([echo]), [writer]);
    assert.equal(await isEcho(object, { name: 'Ada' }), false, 'a person did the same afterwards');
  });

  it('asks for the same tenant, system, object and values', async () => {
    const object = unique('contact');
    await write(object, { name: 'Ada' });
    assert.equal(await isEcho(object, { name: 'Bob' }), false);
    assert.equal(await isEcho(object, { name: 'Ada', phone: '1' }), false);
    assert.equal(await isEcho(object, { name: 'Ada' }, event({ tenantid: 'other' })), false);
    assert.equal(await isEcho(unique('contact'), { name: 'Ada' }), false);
    assert.equal(await isEcho(object, { name: 'Ada' }), true);
  });

  it('keeps a write once however often it is tried, and forgets one that was refused', async () => {
    const object = unique('contact');
    const idempotencyKey = await write(object, { name: 'Ada' });
    await write(object, { name: 'Ada' }, { idempotencyKey });
    assert.equal(await isEcho(object, { name: 'Ada' }), true);
    await write(object, { name: 'Ada' }, { idempotencyKey });
    assert.equal(await isEcho(object, { name: 'Ada' }), false);

    await journal.withdrawWrite(await write(object, { name: 'Eve' }));
    assert.equal(await isEcho(object, { name: 'Eve' }), false);
  });

  it('lets what is late pass, unless the write was tried again since', async () => {
    const object = unique('contact');
    const idempotencyKey = await write(object, { name: 'Ada' }, { echoMs: 1 });
    await until('a millisecond to pass', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return true;
    });
    assert.equal(await isEcho(object, { name: 'Ada' }), false);
    await write(object, { name: 'Ada' }, { idempotencyKey });
    assert.equal(await isEcho(object, { name: 'Ada' }), true);
  });

  it('takes nothing for an event that the journal has: it is a duplicate, whatever it was', async () => {
    const object = unique('contact');
    const human = event();
    assert.equal(await isEcho(object, { name: 'Ada' }, human), false);
    await journal.append([accepted(human)]);
    await write(object, { name: 'Ada' });
    assert.equal(await isEcho(object, { name: 'Ada' }, human), false);
    assert.equal(await isEcho(object, { name: 'Ada' }), true, 'the echo itself is still known');
  });

  it('answers for several events of one request, each field once', async () => {
    const object = unique('contact');
    await write(object, { name: 'Ada', phone: '1' });
    const verdicts = await journal.claimEchoes([
      told(object, { name: 'Ada' }),
      told(object, { phone: '2' }),
      told(object, { phone: '1' }),
      told(object, { name: 'Ada' }),
    ]);
    assert.deepEqual(
      verdicts.map((verdict) => verdict !== undefined),
      [true, false, true, false],
    );
  });

  it('gives one write to one of many events that come at once', async () => {
    const object = unique('contact');
    await write(object, { name: 'Ada' });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => isEcho(object, { name: 'Ada' })),
    );
    assert.equal(answers.filter(Boolean).length, 1);
  });

  it('takes names and values of any script, with NUL too', async () => {
    const object = `${unique('contact')}\0`;
    const fields = { 'na\0me': 'A\0da', ['__proto__']: '\ud800', ключ: 'ä' };
    await write(object, fields);
    assert.equal(await isEcho(object, fields), true);
  });
});
