import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { emitActivities } from '../../src/ingress/emit.ts';
import type { Json } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { EmitInput, Emitted, OperationCall, RunView } from '../../src/model/protocol.ts';
import { traceOf } from '../../src/operator/trace.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';
import { events } from './fixtures/emit-events.ts';

const labels: string[] = [];
async function act({ input }: OperationCall): Promise<Json> {
  const { label } = input as { readonly label: string };
  labels.push(label);
  return label;
}

/** Attempts to emit that got into the journal, by run. */
const attempts: string[] = [];
/** What happens to the attempts of a run after their commit. */
const afterCommit = new Map<string, () => Promise<void>>();
/** Runs whose worker has no dispatcher beside it. */
const elsewhere = new Set<string>();

const runOf = ({ identity }: EmitInput): string => identity.split('/')[0] as string;

const emitting: typeof emitActivities = (context) => ({
  'tidegate.emit': async (input) => {
    const run = runOf(input);
    const onAppended = elsewhere.has(run) ? () => {} : context.onAppended;
    const emitted = await emitActivities({ ...context, onAppended })['tidegate.emit'](input);
    attempts.push(run);
    const happen = afterCommit.get(run);
    await happen?.();
    return emitted;
  },
});

describe('emit, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/emit-flows.ts', import.meta.url)),
      operations: { 'probe.act': act },
      catalogue: events,
      emitting,
    });
  });
  after(async () => {
    await engine.stop();
  });

  const shipped = (orderId: string, fields: object = {}, total = 10) =>
    testEvent({
      id: `shipped-${orderId}`,
      type: 'order.shipped',
      correlationid: `story-${orderId}`,
      hops: 3,
      data: { orderId, total },
      ...fields,
    });
  const storyOf = async (orderId: string) => {
    const { rows } = await engine.journal.listEvents({ correlationId: `story-${orderId}` }, {});
    return rows.toReversed();
  };
  const resultOf = async (flow: string, orderId: string) =>
    (await engine.settled(engine.run(flow, orderId), 1)).settlements.at(0)?.result;
  const attemptsOf = (flow: string, orderId: string): number =>
    attempts.filter((run) => run === engine.run(flow, orderId)).length;
  const waitingFor = (flow: string, orderId: string, text: string) =>
    until(`${flow} to wait for ${text}`, async () => {
      const handle = engine.client.workflow.getHandle(engine.run(flow, orderId));
      const view = await handle.query<RunView>('run').catch(() => undefined);
      return view?.waitingFor?.includes(text);
    });

  it('starts the flow that takes the event, and both belong to one story', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const cause = shipped('o1', { traceparent, actor: 'ana', replay: 'replay-1' });
    await engine.send('ship', 'o1', cause);
    const id = `${engine.run('ship', 'o1')}/1/emit#1`;
    assert.deepEqual(await resultOf('ship', 'o1'), { id, status: 'accepted' });
    assert.equal(await resultOf('bill', 'o1'), 'bill o1');

    const story = await storyOf('o1');
    const { time, ...event } = story.at(1)?.event ?? {};
    assert.deepEqual(event, {
      specversion: '1.0',
      id,
      source: 'tidegate/ship',
      type: 'invoice.due',
      subject: 'o1',
      data: { orderId: 'o1', total: 10 },
      tenantid: 'default',
      schemaversion: 2,
      correlationid: 'story-o1',
      causationid: cause.id,
      origin: 'tidegate:ship',
      hops: 4,
      traceparent,
      replay: 'replay-1',
    });
    assert.ok(Math.abs(Date.now() - Date.parse(String(time))) < 60_000);

    const rows = story.flatMap(({ deliveries }) => deliveries.map(({ run }) => engine.row(run)));
    const runs = (await Promise.all(rows)).filter((row) => row !== undefined);
    const told = traceOf(story, runs).map(({ text }) => text);
    const received = told.findIndex((text) => text.includes(`${id} came from tidegate/ship`));
    const settled = told.findIndex((text) => text.includes('bill:default:o1 completed'));
    assert.ok(received > 0 && settled > received, told.join('\n'));
  });

  it('tells what became of an event: its subject said by the flow, and in branches ids of their own', async () => {
    await engine.send('announce', 'o2', shipped('o2'));
    const run = engine.run('announce', 'o2');
    assert.deepEqual(await resultOf('announce', 'o2'), [
      { id: `${run}/1/emit#1`, status: 'unrouted' },
      { id: `${run}/1/fanOut#1/0/emit#1`, status: 'accepted' },
      { id: `${run}/1/fanOut#1/1/emit#1`, status: 'accepted' },
      { id: `${run}/1/fanOut#1/2/emit#1`, status: 'accepted' },
    ]);
    const [, alone] = await storyOf('o2');
    assert.equal(alone?.event.subject, 'somebody');
    await engine.settled(engine.run('bill', 'o2'), 3);
  });

  it('has a hash for an id that would be too long', async () => {
    const orderId = 'o'.repeat(500);
    await engine.send(
      'ship',
      orderId,
      shipped(orderId, { id: 'long', correlationid: 'story-long' }),
    );
    const identity = `${engine.run('ship', orderId)}/1/emit#1`;
    const hash = createHash('sha256').update(identity).digest('hex');
    assert.deepEqual(await resultOf('ship', orderId), { id: `sha256:${hash}`, status: 'accepted' });
    assert.equal((await storyOf('long')).at(1)?.event.id, `sha256:${hash}`);
  });

  it('says filtered when the flow that takes the type does not want it', async () => {
    await engine.send('ship', 'o3', shipped('o3', {}, 0));
    const { status } = (await resultOf('ship', 'o3')) as unknown as Emitted;
    assert.equal(status, 'filtered');
  });

  it('is found by the dispatcher of another process', async () => {
    elsewhere.add(engine.run('ship', 'o4'));
    await engine.send('ship', 'o4', shipped('o4'));
    assert.equal(await resultOf('bill', 'o4'), 'bill o4');
  });

  it('emits once when the answer is lost, and gives the flow the first status', async () => {
    const run = engine.run('ship', 'o5');
    afterCommit.set(run, async () => {
      afterCommit.delete(run);
      throw new Error('the answer was lost');
    });
    await engine.send('ship', 'o5', shipped('o5', {}, 0));
    const { status } = (await resultOf('ship', 'o5')) as unknown as Emitted;
    assert.equal(status, 'filtered');
    assert.equal(attemptsOf('ship', 'o5'), 2);
    const [, emitted, ...more] = await storyOf('o5');
    assert.deepEqual([emitted?.duplicates, more], [1, []]);
  });

  it('emits once when the workflow task that emitted is lost with all that it did', async () => {
    await engine.send('stumble', 'o6', shipped('o6'));
    const { status } = (await resultOf('stumble', 'o6')) as unknown as Emitted;
    assert.equal(status, 'accepted');
    assert.equal(attemptsOf('stumble', 'o6'), 2);
    assert.equal(await resultOf('bill', 'o6'), 'bill o6');
    assert.equal((await storyOf('o6')).length, 2);
    assert.deepEqual(
      labels.filter((label) => label === 'bill o6'),
      ['bill o6'],
    );
  });

  it('does not emit again after continue-as-new', async () => {
    await engine.send('patient', 'o7', shipped('o7'));
    await waitingFor('patient', 'o7', '1 yes within 1h');
    const handle = engine.client.workflow.getHandle(engine.run('patient', 'o7'));
    const { runId: firstRunId } = await handle.describe();
    for (let n = 2; n <= 520; n += 1) {
      await handle.signal('deliver', [{ number: n, event: shipped('o7', { id: `e${n}` }) }]);
    }
    await until('a new execution', async () => (await handle.describe()).runId !== firstRunId);
    await waitingFor('patient', 'o7', '1 yes within 1h');
    assert.equal(attemptsOf('patient', 'o7'), 1);
    await handle.signal('deliver', [{ number: 521, event: shipped('o7', { id: 'yes' }, -1) }]);
    const [before, after] = (await handle.result()) as readonly Emitted[];
    assert.deepEqual(
      [before?.id.endsWith('/1/emit#1'), after?.id.endsWith('/1/emit#2')],
      [true, true],
    );
    assert.equal(attemptsOf('patient', 'o7'), 2);
  });

  it('ends a flow that causes itself, as looped', async () => {
    const first = testEvent({
      id: 'ball',
      type: 'ball.thrown',
      correlationid: 'story-ball',
      data: { n: 0 },
    });
    await engine.send('again', 'test/ball', first);
    const story = await until('the loop to end', async () => {
      const rows = await storyOf('ball');
      return rows.at(-1)?.status === 'looped' && rows;
    });
    assert.deepEqual(
      story.map(({ event, status }) => [event.hops, status]),
      Array.from({ length: LIMITS.hopsMax + 2 }, (_, hops) => [
        hops,
        hops > LIMITS.hopsMax ? 'looped' : 'accepted',
      ]),
    );
    const ids = story.map(({ event }) => event.id);
    assert.equal(new Set(ids).size, ids.length);
    const last = story.at(-2)?.deliveries.at(0)?.run;
    assert.ok(last !== undefined);
    const { result } = (await engine.settled(last, 1)).settlements.at(0) ?? {};
    assert.deepEqual(result, { id: ids.at(-1), status: 'looped' });
  });

  it('fails as fatal when the data breaks its contract, naming paths and no values', async () => {
    await engine.send('ship', 'o8', shipped('o8', {}, 987_654));
    const row = await until('a parked run', async () => {
      const found = await engine.row(engine.run('ship', 'o8'));
      return found?.status === 'parked' && found;
    });
    assert.equal(row.park?.errorClass, 'fatal');
    const reason = row.park?.reason ?? '';
    assert.match(reason, /^emit#1 emitted invoice\.due, .*contract_violation at data\.total\./);
    assert.doesNotMatch(reason, /987|1000|o8/);
    assert.equal((await storyOf('o8')).length, 1);
    const { rows: letters } = await engine.journal.listDeadLetters({});
    const kept = letters.find((letter) => letter.kind === 'rejected');
    assert.deepEqual([kept?.code, kept?.source], ['contract_violation', 'tidegate/ship']);
  });

  it('fails as fatal for a type without a contract, which a flow may catch', async () => {
    await engine.send('careless', 'o9', shipped('o9'));
    const error = (await resultOf('careless', 'o9')) as { class: string; message: string };
    assert.equal(error.class, 'fatal');
    assert.match(error.message, /emitted order\.gone, which was rejected: unknown_type\. Mend/);
  });
});
