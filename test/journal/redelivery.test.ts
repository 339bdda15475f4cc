import assert from 'node:assert/strict';
import type { Act, DeadLetter } from '../../src/journal/dead-letters.ts';
import type { AppendEntry, HeldDelivery } from '../../src/journal/deliveries.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { onBothDatabases } from './both-databases.ts';
import { accepted, event, freshRun, numbersOf, target, unique } from './entries.ts';

const act: Act = { actor: 'ada', reason: 'the flow is mended' };
const failed = (flow: string): HeldDelivery => ({
  flow,
  code: 'filter_failed',
  message: `where of flow ${flow} threw: no amount \0.`,
});

onBothDatabases('what people do about dead letters', ({ fresh }) => {
  let journal: Journal;
  before(async () => {
    journal = await fresh();
  });

  const holding = (...flows: readonly string[]): AppendEntry => ({
    ...accepted(event()),
    held: flows.map(failed),
  });
  const letters = async (kind?: DeadLetter['kind']) =>
    (await journal.listDeadLetters({ limit: 500 }, kind && { kind })).rows;
  const heldOf = async ({ event: { id } }: AppendEntry) =>
    (await letters('held')).filter((letter) => letter.kind === 'held' && letter.event.id === id);
  const numberOf = (letter: DeadLetter | undefined): number =>
    Number(letter?.deadLetter.split('-')[1]);
  const deliveriesOf = async ({ event: { id } }: AppendEntry) =>
    (await journal.findEvents(undefined, id)).flatMap(({ deliveries }) => deliveries);
  const audited = async (name: string) =>
    (await journal.audit.list({ target: name }, {})).rows.map(({ at: _, ...row }) => row);

  it('keeps what a flow could not decide with the event that it is about', async () => {
    const entry = { ...holding('digest', 'audit'), deliveries: [target('other', unique('key'))] };
    const [result] = await journal.append([entry]);
    assert.deepEqual(result?.held, entry.held);
    assert.equal(result?.deliveries.length, 1);
    const held = await heldOf(entry);
    assert.deepEqual(
      held.map((letter) => letter.kind === 'held' && [letter.flow, letter.tenant, letter.attempts]),
      [
        ['digest', 'acme', 1],
        ['audit', 'acme', 1],
      ],
    );
    const [row] = await journal.findEvents(undefined, entry.event.id);
    assert.deepEqual(
      row?.held?.map(({ flow, code, message, closed }) => [flow, code, message, closed]),
      [
        ['audit', 'filter_failed', 'where of flow audit threw: no amount \ufffd.', undefined],
        ['digest', 'filter_failed', 'where of flow digest threw: no amount \ufffd.', undefined],
      ],
    );
  });

  it('holds nothing more for an event that comes again', async () => {
    const entry = holding('digest');
    const [, again] = await journal.append([entry, entry]);
    await journal.append([entry]);
    assert.equal(again?.status, 'duplicate');
    assert.equal((await heldOf(entry)).length, 1);
  });

  it('delivers what was held once, however many ask at once', async () => {
    const entry = holding('digest');
    await journal.append([entry]);
    const [letter] = await heldOf(entry);
    const to = target('digest', unique('key'));
    const answers = await Promise.all(
      [1, 2, 3].map(() => journal.redelivery.decideHeld(numberOf(letter), to, act)),
    );
    assert.deepEqual(numbersOf([{ deliveries: answers.flatMap((answer) => answer ?? []) }]), [1]);
    assert.equal(answers.filter((answer) => answer === undefined).length, 2);
    assert.deepEqual(
      (await deliveriesOf(entry)).map(({ run, number, state }) => [run, number, state]),
      [[to.run, 1, 'pending']],
    );
    assert.deepEqual(await heldOf(entry), []);
    const found = await journal.redelivery.find({ kind: 'held', number: numberOf(letter) });
    assert.deepEqual([found?.closed?.how, found?.closed?.by], ['delivered', 'ada']);
    assert.deepEqual(await audited(letter?.deadLetter ?? ''), [
      {
        ...act,
        action: 'dead_letter.retry',
        target: letter?.deadLetter,
        tenant: 'acme',
        details: { outcome: 'delivered' },
      },
    ]);
  });

  it('numbers what was held after what the run had meanwhile, to be sent', async () => {
    const to = target('digest', unique('key'));
    const entry = holding('digest');
    await journal.append([entry, accepted(event(), to), accepted(event(), to)]);
    const [letter] = await heldOf(entry);
    const delivered = await journal.redelivery.decideHeld(numberOf(letter), to, act);
    assert.deepEqual(delivered, [{ ...to, number: 3 }]);
    const sent = await journal.deliveriesAfter(to.run, 2, { count: 10, bytes: 1_000_000 });
    assert.deepEqual(
      sent.map((delivery) => [delivery.number, delivery.event.id]),
      [[3, entry.event.id]],
    );
  });

  it('filters or holds again what the flow says of it now', async () => {
    const filtered = holding('digest');
    const held = holding('digest');
    await journal.append([filtered, held]);
    const [first] = await heldOf(filtered);
    const [second] = await heldOf(held);
    const again = {
      ...failed('digest'),
      code: 'invalid_key',
      message: 'the key is empty',
    } as const;
    assert.deepEqual(await journal.redelivery.decideHeld(numberOf(first), 'filtered', act), []);
    assert.deepEqual(await journal.redelivery.decideHeld(numberOf(second), again, act), []);
    assert.deepEqual(await heldOf(filtered), []);
    const [still] = await heldOf(held);
    assert.ok(still?.kind === 'held');
    assert.deepEqual(
      [still.code, still.message, still.attempts],
      ['invalid_key', 'the key is empty', 2],
    );
    assert.deepEqual(await deliveriesOf(held), []);
  });

  it('lets a run with limits wait for its slot, also when a person opens it', async () => {
    const to = target('slow', unique('key'));
    const entry = holding('slow');
    await journal.append([entry]);
    const [letter] = await heldOf(entry);
    const limited = { ...to, limitKeys: { concurrency: '*' } };
    const delivered = await journal.redelivery.decideHeld(numberOf(letter), limited, act);
    assert.deepEqual(delivered, [{ ...to, number: 1, waits: true }]);
    const limits = new Map([['slow', { concurrency: { limit: 1 } }]]);
    const { admitted } = await journal.admit(limits);
    assert.deepEqual(
      admitted.map(({ run }) => run),
      [to.run],
    );
  });

  it('delivers what was lost again under new numbers, once', async () => {
    const { run, entry } = freshRun();
    const entries = [entry(), entry(), entry()];
    await journal.append(entries);
    await journal.settleLost(run, 2, 'terminated');
    const lost = (await letters('lost')).find(
      (letter) => letter.kind === 'lost' && letter.run === run,
    );
    const retry = () => journal.redelivery.redeliverLost(numberOf(lost), undefined, act);
    assert.deepEqual(numbersOf([{ deliveries: (await retry()) ?? [] }]), [4, 5]);
    assert.equal(await retry(), undefined);
    const sent = await journal.deliveriesAfter(run, 3, { count: 10, bytes: 1_000_000 });
    assert.deepEqual(
      sent.map(({ event: { id } }) => id),
      entries.slice(0, 2).map(({ event: { id } }) => id),
    );
    assert.equal(
      (await letters('lost')).some(({ deadLetter }) => deadLetter === lost?.deadLetter),
      false,
    );
  });

  it('closes each kind with a reason, once', async () => {
    const held = holding('digest');
    const { run, entry } = freshRun();
    await journal.append([held, entry()]);
    await journal.settleLost(run, 1, 'terminated');
    await journal.reject([
      {
        tenant: 'acme',
        source: 'crm',
        id: unique('r'),
        code: 'unknown_type',
        message: 'no',
        body: '{}',
      },
    ]);
    const [ofHeld] = await heldOf(held);
    const [ofRejected] = await letters('rejected');
    const ofLost = (await letters('lost')).find(
      (letter) => letter.kind === 'lost' && letter.run === run,
    );
    for (const letter of [ofHeld, ofRejected, ofLost]) {
      assert.ok(letter);
      const name = { kind: letter.kind, number: numberOf(letter) };
      assert.equal(await journal.redelivery.discard(name, act), true);
      assert.equal(await journal.redelivery.discard(name, act), false);
      assert.ok(!(await letters()).some(({ deadLetter }) => deadLetter === letter.deadLetter));
      assert.equal((await journal.redelivery.find(name))?.closed?.how, 'discarded');
      assert.deepEqual(
        (await audited(letter.deadLetter)).map(({ action, tenant }) => [action, tenant]),
        [['dead_letter.discard', 'acme']],
      );
    }
    assert.equal(await journal.redelivery.decideHeld(numberOf(ofHeld), 'filtered', act), undefined);
  });

  it('closes what was refused when its sender sends it again, and opens it when that is refused', async () => {
    const again = event();
    const { tenantid: tenant, source, id } = again;
    const refused = { tenant, source, id, code: 'unknown_type', message: 'no', body: '{}' };
    const others = { ...refused, source: 'erp' };
    await journal.reject([refused, others]);
    const open = async () =>
      (await letters('rejected')).flatMap((letter) =>
        letter.kind === 'rejected' && letter.id === id ? [letter.source] : [],
      );
    await journal.append([{ event: again, status: 'unrouted', deliveries: [] }]);
    assert.deepEqual(await open(), ['erp']);
    await journal.reject([refused]);
    assert.deepEqual((await open()).sort(), ['crm', 'erp']);
    await journal.append([{ event: again, status: 'unrouted', deliveries: [] }]);
    assert.deepEqual(await open(), ['erp'], 'a duplicate says that the sender has it right by now');
  });

  it('gives an event to flows that never had it, and once, with what was held of it', async () => {
    const had = target('had', unique('key'));
    const entry = { ...holding('digest'), deliveries: [had] };
    await journal.append([entry]);
    const [letter] = await heldOf(entry);
    const targets = [had, target('digest', unique('key')), target('audit', unique('key'))];
    const force = () => journal.redelivery.deliverEvent(entry.event, targets, act);
    const given = (await Promise.all([force(), force(), force()])).flat();
    assert.deepEqual(given.map(({ flow, number }) => [flow, number]).sort(), [
      ['audit', 1],
      ['digest', 1],
    ]);
    assert.equal((await deliveriesOf(entry)).length, 3);
    assert.deepEqual(await heldOf(entry), []);
    assert.equal(await journal.redelivery.decideHeld(numberOf(letter), had, act), undefined);
    assert.deepEqual(await audited(`${entry.event.source}/${entry.event.id}`), [
      {
        ...act,
        action: 'event.deliver',
        target: `${entry.event.source}/${entry.event.id}`,
        tenant: 'acme',
        details: { flows: ['digest', 'audit'] },
      },
    ]);
  });

  it('lists one kind, one tenant, one flow', async () => {
    const tenant = unique('tenant');
    await journal.append([
      {
        event: event({ tenantid: tenant }),
        status: 'accepted',
        deliveries: [],
        held: [failed('one'), failed('two')],
      },
    ]);
    await journal.reject([
      { tenant, source: 'crm', id: unique('r'), code: 'unknown_type', message: 'no', body: '{}' },
    ]);
    const kinds = async (filter: Parameters<Journal['listDeadLetters']>[1]) =>
      (await journal.listDeadLetters({}, filter)).rows.map(({ kind }) => kind);
    assert.deepEqual(await kinds({ tenant }), ['rejected', 'held', 'held']);
    assert.deepEqual(await kinds({ tenant, kind: 'held' }), ['held', 'held']);
    assert.deepEqual(await kinds({ tenant, flow: 'one' }), ['held']);
    assert.deepEqual(await kinds({ tenant, kind: 'rejected', flow: 'one' }), []);
    assert.deepEqual(await kinds({ tenant: 'nobody\0' }), []);
  });
});

onBothDatabases('where runs are sent', ({ fresh }) => {
  it('keeps an open run where it is, and lets a settled one go where it is to be now', async () => {
    const journal = await fresh();
    const { run, entry } = freshRun();
    const eu = { taskQueue: 'eu', namespace: 'europe' };
    const us = { taskQueue: 'us' };
    await journal.append([entry(), entry()]);
    assert.equal(await journal.hasPlacedRuns(), false);
    assert.deepEqual(await journal.placeRun(run, eu), eu);
    assert.equal(await journal.hasPlacedRuns(), true);
    assert.deepEqual(
      await journal.placeRun(run, us),
      eu,
      'a call that nobody knows of may be there',
    );
    assert.equal((await journal.findRun(run))?.namespace, 'europe');
    const settled = (through: number) =>
      journal.activities['journal.settle']({
        run,
        workflowRunId: 'w',
        through,
        outcome: 'completed',
      });
    await settled(1);
    assert.deepEqual(await journal.placeRun(run, us), eu);
    await settled(2);
    assert.equal((await journal.findRun(run))?.namespace, 'europe', 'its history is there');
    assert.equal(await journal.hasPlacedRuns(), false);
    await journal.append([entry()]);
    assert.deepEqual(await journal.placeRun(run, us), us);
    assert.equal((await journal.findRun(run))?.namespace, undefined);
  });

  it('leaves a run that was sent before there were routes where all of them were', async () => {
    const journal = await fresh();
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await journal.leaseLanes('me', 60_000);
    await journal.markSent('me', [{ run, through: 1 }]);
    const place = await journal.placeRun(run, { taskQueue: 'eu', namespace: 'europe' });
    assert.deepEqual(place, { taskQueue: 'tidegate' });
  });
});
