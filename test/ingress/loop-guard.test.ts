import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { defineEvents } from 'tidegate/contracts';
import { bindSources, defineSource, hmacSignature } from 'tidegate/ingress';
import { z } from 'zod';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { SaidChange } from '../../src/model/change.ts';
import type { TidegateEvent } from '../../src/model/event.ts';
import { type FlowHead, flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId } from '../../src/model/run.ts';
import {
  type Answer,
  cloudEvent,
  JSON_TYPE,
  post,
  postEvent,
  startTestIngress,
  type TestIngress,
} from './support.ts';

const SECRET = 'secret-of-the-loop-guard';

interface Payload {
  readonly id: string;
  readonly type?: string;
  readonly change?: SaidChange;
  readonly origin?: 'human';
}

const crmSource = defineSource({
  name: 'crm',
  verify: hmacSignature({ header: 'x-signature', encoding: 'hex' }),
  toEvents: ({ payload }) => {
    const { type = 'contact.changed', ...event } = payload as unknown as Payload;
    return [{ type, data: {}, ...event }];
  },
});

const events = defineEvents({ 'contact.changed': z.object({}), 'thing.seen': z.unknown() });
const flow = (head: FlowHead) => Object.assign(async () => undefined, { head });
const key = (event: TidegateEvent): string => event.subject ?? 'k';
const flows = flowRegistry({
  sync: flow({ on: ['contact.changed'], key }),
  forPeople: flow({ on: ['thing.seen'], key, origin: ['human'] }),
  forMachines: flow({ on: ['thing.seen'], key, origin: ['system', 'flow'] }),
  fused: flow({ on: ['thing.seen'], key, fuse: { limit: 2, perMs: 3_600_000 } }),
  never: flow({ on: ['thing.seen'], key, fuse: false }),
});

describe('the loop guard at the door', () => {
  let journal: Journal;
  let ingress: TestIngress;
  let claims = 0;
  let failing = false;
  const run = makeRunId({ flow: 'sync', tenant: 'default', key: '7' });

  before(async () => {
    journal = await openJournal({});
    const watched: Journal = {
      ...journal,
      claimEchoes: (told) => {
        claims += 1;
        return journal.claimEchoes(told);
      },
      append: (entries) => {
        if (failing) throw new Error('the process died here');
        return journal.append(entries);
      },
    };
    const sources = bindSources([crmSource], { TIDEGATE_SOURCE_CRM_SECRET: SECRET });
    ingress = await startTestIngress({ journal: watched, catalogue: events, flows, sources });
  });
  after(async () => {
    await ingress.stop();
    await journal.close();
  });

  let writes = 0;
  async function write(object: string, name: string): Promise<void> {
    writes += 1;
    const change = { system: 'crm', object, fields: { name } };
    const of = { tenant: 'default', run, operation: 'crm.update', echoMs: 60_000 };
    await journal.recordWrite({ ...of, idempotencyKey: `write-${writes}`, change });
  }
  const hook = (payload: Payload): Promise<Answer> => {
    const body = JSON.stringify(payload);
    const signature = createHmac('sha256', SECRET).update(body).digest('hex');
    return post(`${ingress.url}/hooks/crm`, body, { ...JSON_TYPE, 'x-signature': signature });
  };
  const statusOf = ({ body }: Answer) => body.results?.[0]?.status;
  const change = (object: string, name: string) => ({ object, fields: { name } });

  it('keeps an echo, which goes to no flow, and says whose it is', async () => {
    await write('contact/1', 'Ada');
    const answer = await hook({ id: 'echo-1', change: change('contact/1', 'Ada') });
    const { status, reason, deliveries } = answer.body.results?.[0] ?? {};
    assert.equal(answer.status, 202);
    assert.deepEqual(
      { status, reason, deliveries },
      {
        status: 'echo',
        reason: 'it tells of what crm.update of sync(7) wrote',
        deliveries: [],
      },
    );
    const [row] = await journal.findEvents('default', 'echo-1');
    assert.equal(row?.status, 'echo');
    assert.equal(
      statusOf(await hook({ id: 'echo-1', change: change('contact/1', 'Ada') })),
      'duplicate',
    );
    assert.equal(
      statusOf(await hook({ id: 'a-person', change: change('contact/1', 'Ada') })),
      'accepted',
    );
  });

  it('says the same of a delivery that comes again after a crash', async () => {
    await write('contact/2', 'Ada');
    const echo = { id: 'echo-2', change: change('contact/2', 'Ada') };
    failing = true;
    assert.equal((await hook(echo)).status, 500);
    failing = false;
    assert.equal(statusOf(await hook({ id: 'person-2', change: echo.change })), 'accepted');
    assert.equal(statusOf(await hook(echo)), 'echo');
  });

  it('asks nothing for an event that tells of no change, and believes no sender', async () => {
    await write('contact/3', 'Ada');
    claims = 0;
    assert.equal(statusOf(await hook({ id: 'no-change' })), 'accepted');
    const said = {
      type: 'contact.changed',
      source: 'crm',
      change: JSON.stringify(change('contact/3', 'Ada')),
    };
    assert.equal(statusOf(await postEvent(ingress, said)), 'accepted');
    assert.equal(claims, 0);
  });

  it('keeps an event whose mapping says its change wrong as a dead letter', async () => {
    const answer = await hook({ id: 'wrong', change: { object: '', fields: {} } });
    assert.equal(statusOf(answer), 'rejected');
    assert.deepEqual(answer.body.results?.[0]?.errors, [
      { path: 'change', message: 'has an `object` that is not text' },
    ]);
  });

  it('takes nobody for a flow, but an origin and hops on trust', async () => {
    const forged = await postEvent(ingress, { source: 'tidegate/sync' });
    assert.equal(forged.status, 422);
    assert.deepEqual(forged.body.errors, [
      {
        path: 'source',
        message: 'must not begin with tidegate/, which is for what flows emit',
      },
    ]);
    const passedOn = await postEvent(ingress, { origin: 'tidegate:sync', hops: 1, subject: 'p' });
    assert.equal(statusOf(passedOn), 'accepted');
  });

  it('gives a flow events of the origins that it takes', async () => {
    const flowsOf = async (origin: string) => {
      const answer = await postEvent(ingress, { origin, subject: 'o' });
      return answer.body.results?.[0]?.deliveries.map((delivery) => delivery.flow).sort();
    };
    assert.deepEqual(await flowsOf('human'), ['forPeople', 'fused', 'never']);
    assert.deepEqual(await flowsOf('system'), ['forMachines', 'fused', 'never']);
    assert.deepEqual(await flowsOf('tidegate:sync'), ['forMachines', 'fused', 'never']);
    const answer = await postEvent(ingress, { origin: 'human', subject: 'o' });
    assert.equal(
      answer.body.results?.[0]?.reason,
      'not wanted by forMachines (takes events of origin system, flow only, and this is of human)',
    );
  });

  it('holds what is too much for a run from the dispatcher, and that of no other run', async () => {
    const sent = async (origin: string) => {
      const before = ingress.appended.length;
      await postEvent(ingress, { origin, subject: 'f' });
      return ingress.appended
        .slice(before)
        .filter(({ target }) => target.waits === undefined)
        .map(({ target }) => target.flow)
        .sort();
    };
    for (const _ of [1, 2, 3]) assert.ok((await sent('human')).includes('fused'));
    for (const _ of [1, 2]) assert.ok((await sent('tidegate:sync')).includes('fused'));
    assert.deepEqual(await sent('tidegate:sync'), ['forMachines', 'never']);
    assert.deepEqual(await sent('human'), ['forPeople', 'never']);
    const { rows } = await journal.listDeadLetters({ limit: 500 });
    const letters = rows.filter((row) => row.kind === 'fused');
    assert.deepEqual(
      letters.map(({ flow: name, key: of, count, held }) => [name, of, count, held]),
      [['fused', 'f', 3, 7]],
    );
  });

  it('ends a story with too many hops', async () => {
    const looped = await postEvent(ingress, { ...cloudEvent(), hops: LIMITS.hopsMax + 1 });
    assert.equal(statusOf(looped), 'looped');
  });
});
