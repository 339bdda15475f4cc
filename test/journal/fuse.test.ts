import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FuseCheck, Journal } from '../../src/journal/journal.ts';
import type { RunId } from '../../src/model/run.ts';
import { onBothDatabases } from './both-databases.ts';
import { ALL_LANES, accepted, event, oneTo, target, unique } from './entries.ts';

onBothDatabases('fuses', (journals) => {
  let journal: Journal;
  before(async () => {
    journal = await journals.fresh();
  });

  const FUSE = { limit: 3, perMs: 3_600_000 };
  const check = (run: RunId, fuse = FUSE): FuseCheck => ({
    run,
    fuse,
    event: event({ id: 'the-last' }),
  });
  function freshRun() {
    const to = target('digest', unique('key'));
    const made = (count: number) =>
      journal.append(oneTo(count).map(() => accepted(event(), { ...to, fuse: FUSE } as never)));
    const human = () => journal.append([accepted(event(), to)]);
    return { run: to.run, made, human };
  }
  const isPending = async (run: RunId) =>
    (await journal.pendingRuns(ALL_LANES, 10_000)).some((pending) => pending.run === run);
  const numbers = async (run: RunId) =>
    (await journal.deliveriesAfter(run, 0, { count: 100, bytes: 1e9 })).map(({ number }) => number);
  const letterOf = async (run: RunId) => {
    const { rows } = await journal.listDeadLetters({ limit: 500 });
    return rows.find((row) => row.kind === 'fused' && row.run === run);
  };

  it('trips with one more than the limit, and holds all that follows until it is reset', async () => {
    const { run, made, human } = freshRun();
    await made(3);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], []);
    assert.equal(await isPending(run), true);
    await made(1);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], [run]);
    assert.equal(await isPending(run), false);
    assert.equal(await journal.isHeld(run), true);
    assert.deepEqual(await numbers(run), []);

    const [later] = await human();
    assert.deepEqual(
      later?.deliveries.map(({ number, waits }) => ({ number, waits })),
      [{ number: 5, waits: true }],
    );
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], [run], 'still');
    const letter = await letterOf(run);
    assert.ok(letter?.kind === 'fused');
    const { trippedAt, deadLetter, ...shown } = letter;
    assert.match(deadLetter, /^fused-\d+$/);
    assert.ok(Date.parse(trippedAt) > 0);
    assert.deepEqual(shown, {
      kind: 'fused',
      code: 'fuse_tripped',
      run,
      flow: 'digest',
      tenant: 'acme',
      key: run.split(':')[2],
      count: 4,
      fuse: FUSE,
      eventId: 'the-last',
      chain: `digest(${run.split(':')[2]})`,
      held: 5,
    });
    assert.equal((await journal.findRun(run))?.fuseTrippedAt, trippedAt);

    const act = { actor: 'ana', reason: 'the loop is mended' };
    assert.equal(await journal.resetFuse(run, act), true);
    assert.equal(await isPending(run), true);
    assert.equal(await journal.isHeld(run), false);
    assert.deepEqual(await numbers(run), [1, 2, 3, 4, 5]);
    assert.equal(await letterOf(run), undefined);
    assert.equal((await journal.findRun(run))?.fuseTrippedAt, undefined);
    assert.equal(await journal.resetFuse(run, act), true, 'said again');
    assert.equal(await journal.resetFuse(run, { ...act, actor: 'bo' }), false);
    const { rows } = await journal.audit.list({ target: run }, {});
    assert.deepEqual(
      rows.map(({ actor, action, reason }) => ({ actor, action, reason })),
      [{ ...act, action: 'fuse.resume' }],
    );
  });

  it('counts anew after a reset, and trips again', async () => {
    const { run, made } = freshRun();
    await made(4);
    await journal.tripFuses([check(run)]);
    await journal.resetFuse(run, { actor: 'ana', reason: 'once more' });
    // PGlite's clock goes by milliseconds: what is made in that of the reset counts as before it.
    await sleep(2);
    await made(3);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], []);
    await made(1);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], [run]);
  });

  it('counts what flows made only, and only in its time', async () => {
    const { run, made, human } = freshRun();
    for (const _ of oneTo(6)) await human();
    await made(3);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], []);
    await made(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([...(await journal.tripFuses([check(run, { limit: 3, perMs: 1 })]))], []);
    assert.deepEqual([...(await journal.tripFuses([check(run)]))], [run]);
  });

  it('trips once when several processes see it at once', async () => {
    for (const _ of oneTo(10)) {
      const { run, made } = freshRun();
      await made(4);
      await Promise.all(oneTo(8).map(() => journal.tripFuses([check(run)])));
      const { rows } = await journal.listDeadLetters({ limit: 500 });
      assert.equal(rows.filter((row) => row.kind === 'fused' && row.run === run).length, 1);
    }
  });
});

onBothDatabases('the chain of a story', (journals) => {
  it('is walked back from event to run, however many other events the story has', async () => {
    const journal = await journals.fresh();
    const story = unique('story');
    const a = target('orderSync', unique('7'));
    const b = target('crmSync', unique('8'));
    const audit = target('audit', unique('9'));
    const first = event({ correlationid: story, data: { text: 'with \0 in it' } });
    const second = event({
      correlationid: story,
      causationid: first.id,
      source: 'tidegate/orderSync',
      hops: 1,
    });
    const third = event({
      correlationid: story,
      causationid: second.id,
      source: 'tidegate/crmSync',
      hops: 2,
    });
    await journal.append([accepted(first, audit, a), accepted(second, b, audit)]);
    assert.deepEqual(await journal.ancestorsOf(third), [a.run, b.run]);
    assert.deepEqual(await journal.ancestorsOf(second), [a.run]);
    assert.deepEqual(await journal.ancestorsOf(first), []);
    assert.deepEqual(await journal.ancestorsOf({ ...third, tenantid: 'other' }), []);
    assert.deepEqual(await journal.ancestorsOf({ ...third, correlationid: 'other' }), []);
  });

  it('ends for events that say that they caused each other', async () => {
    const journal = await journals.fresh();
    const story = unique('story');
    const a = target('orderSync', unique('7'));
    const source = 'tidegate/orderSync';
    const id = unique('two');
    const one = event({ correlationid: story, causationid: id, source });
    const two = event({ correlationid: story, causationid: one.id, source, id });
    await journal.append([accepted(one, a), accepted(two, a)]);
    const chain = await journal.ancestorsOf(one);
    assert.ok(chain.length > 2 && chain.length < 20, String(chain.length));
  });
});
