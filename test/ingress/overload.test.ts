import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'mocha';
import { bearerToken, bindSources, defineSource } from 'tidegate/ingress';
import { type Pressure, startPressure } from '../../src/ingress/pressure.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { createLogger } from '../../src/telemetry.ts';
import { until } from '../support/wait.ts';
import { startTestIngress, type TestIngress } from './support.ts';

const LOAD_MS = 6_000;
/** What the journal takes, and what is sent: twice as much. */
const COMMITS_PER_SECOND = 200;
const PER_SECOND = 2 * COMMITS_PER_SECOND;
/** By how much the heap may be larger in the last third than in the first. */
const HEAP_MARGIN_BYTES = 96 * 1_048_576;
const TOKEN = 'token-of-the-senders';

interface Sent {
  readonly id: string;
  readonly priority: 'normal' | 'high';
  readonly status: number;
  readonly retryAfter: string | undefined;
}

describe('An ingress that is sent twice what it can take', function () {
  this.timeout(60_000);
  let opened: Journal;
  let pressure: Pressure;
  let ingress: TestIngress;
  const agent = new Agent({ keepAlive: true, maxSockets: 2_000 });

  before(async () => {
    opened = await openJournal({});
    const logger = createLogger({ level: 'silent' });
    pressure = startPressure({
      journal: opened,
      logger,
      observer: { shed: () => {}, limited: () => {} },
      onTick: () => {},
    });
    // One after the other, each a while after the one before: what this machine can take is no matter.
    let last = Promise.resolve();
    const turn = (): Promise<void> => {
      last = last.then(() => sleep(1_000 / COMMITS_PER_SECOND));
      return last;
    };
    const journal: Journal = {
      ...opened,
      append: (entries) => pressure.awaiting(turn().then(() => opened.append(entries))),
    };
    const source = (name: 'normal' | 'high') =>
      defineSource({
        name,
        verify: bearerToken(),
        bodyUnprotected: true,
        priority: name,
        toEvents: ({ payload }) => [
          { type: 'thing.seen', data: payload, id: (payload as { id: string }).id },
        ],
      });
    ingress = await startTestIngress({
      journal,
      admission: pressure.admission,
      logger,
      sources: bindSources([source('normal'), source('high')], {
        TIDEGATE_SOURCE_NORMAL_SECRET: `${TOKEN}-normal`,
        TIDEGATE_SOURCE_HIGH_SECRET: `${TOKEN}-high`,
      }),
    });
  });
  after(async () => {
    agent.destroy();
    await ingress.stop();
    await pressure.stop();
    await opened.close();
  });

  const send = (id: string, priority: Sent['priority']): Promise<Sent> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        `${ingress.url}/hooks/${priority}`,
        {
          agent,
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Bearer ${TOKEN}-${priority}`,
          },
        },
        (response) => {
          const { statusCode: status = 0, headers } = response;
          response.on('error', reject);
          response.on('end', () =>
            resolve({ id, priority, status, retryAfter: headers['retry-after'] }),
          );
          response.resume();
        },
      );
      outgoing.on('error', reject);
      outgoing.end(JSON.stringify({ id }));
    });

  it('loses nothing that it has taken, takes nothing twice, and says to all others when to come again', async () => {
    const answers: Promise<Sent>[] = [];
    const heaps: number[] = [];
    const startedAt = Date.now();
    for (;;) {
      const elapsedMs = Date.now() - startedAt;
      if (elapsedMs > LOAD_MS) break;
      const due = (PER_SECOND * elapsedMs) / 1_000;
      // A tenth of it matters more.
      while (answers.length < due) {
        const n = answers.length;
        answers.push(send(`load-${n}`, n % 10 === 0 ? 'high' : 'normal'));
      }
      heaps.push(process.memoryUsage().heapUsed);
      await sleep(10);
    }
    const sent = await Promise.all(answers);
    const accepted = sent.filter(({ status }) => status === 202);
    const refused = sent.filter(({ status }) => status !== 202);

    assert.ok(refused.length > 0, 'it was not too much');
    for (const { status, retryAfter } of refused) {
      assert.equal(status, 503);
      assert.match(retryAfter ?? '', /^[1-9]\d*$/);
    }
    const share = (priority: Sent['priority']): number => {
      const of = sent.filter((each) => each.priority === priority);
      return of.filter(({ status }) => status === 202).length / of.length;
    };
    assert.ok(share('high') > share('normal'), 'what matters more is let in more');
    const firstRefusal = sent.findIndex(({ status }) => status === 503);
    const tookAgain = sent
      .slice(firstRefusal)
      .some(({ status, priority }) => status === 202 && priority === 'normal');
    assert.ok(tookAgain, 'it takes again what it has refused for a while');

    const kept = await everyEvent(opened);
    assert.deepEqual([...kept.keys()].toSorted(), accepted.map(({ id }) => id).toSorted());
    assert.deepEqual([...new Set(kept.values())], [0], 'no event came twice');

    const third = Math.floor(heaps.length / 3);
    const grown = median(heaps.slice(-third)) - median(heaps.slice(0, third));
    assert.ok(grown < HEAP_MARGIN_BYTES, `the heap has grown by ${grown} bytes`);
  });

  it('is as good as new when it is over', async () => {
    await until('low priority to be let in', () => pressure.shedState().delay === 0);
    const answer = await send('after', 'normal');
    assert.equal(answer.status, 202);
    assert.equal((await fetch(`${ingress.url}/readyz`)).status, 200);
  });
});

/** How often each event came again, by its id. */
async function everyEvent(journal: Journal): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  let after: string | undefined;
  do {
    const page = await journal.listEvents(
      {},
      { limit: 500, ...(after !== undefined && { after }) },
    );
    for (const { event, duplicates } of page.rows) {
      assert.ok(!found.has(event.id), `${event.id} is kept twice`);
      found.set(event.id, duplicates);
    }
    after = page.next;
  } while (after !== undefined);
  return found;
}

const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
