import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import { eraseDue } from '../../src/journal/retention.ts';
import { runActivities } from '../../src/journal/run-activities.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { settle } from '../../src/journal/settle.ts';
import { makeSettler } from '../../src/journal/settler.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { DAY_MS } from '../../src/model/retention.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { sharedPostgres } from '../journal/both-databases.ts';
import { testEvent } from '../support/events.ts';

const LARGE = 'x'.repeat(LIMITS.inlineDataBytesMax);

for (const kind of ['PGlite', 'PostgreSQL'] as const) {
  describe(`the retention of large event data, in ${kind}`, function () {
    this.timeout(60_000);
    let database: JournalDatabase;
    let append: ReturnType<typeof makeAppender>['append'];
    let run: RunId;
    let sent = 0;

    before(async () => {
      database =
        kind === 'PGlite'
          ? await openEmbeddedDatabase(undefined, NO_SEALING)
          : await openServerDatabase(await (await sharedPostgres()).createDatabase(), {
              sealing: NO_SEALING,
              logger: undefined,
            });
      ({ append } = makeAppender(database));
    });
    after(() => database?.destroy());
    beforeEach(() => {
      run = makeRunId({ flow: 'flow', tenant: 'default', key: randomUUID() });
      sent = 0;
    });

    const send = async (data: unknown): Promise<void> => {
      sent += 1;
      const event = testEvent({ id: `${run} ${sent}`, data });
      const target = { flow: 'flow', key: 'key', run };
      await append([{ event, status: 'accepted', deliveries: [target] }]);
    };
    const open = (execution: string, firstNumber: number) =>
      runActivities(database, makeSettler(database))['journal.open']({
        run,
        workflowRunId: execution,
        firstNumber,
      });
    const settled = (execution: string, through: number) =>
      settle(database, { run, through, outcome: 'completed', workflowRunId: execution });
    const later = () =>
      sql`update runs set updated_at = now() - interval '2 days' where run = ${run}`.execute(
        database,
      );
    /** Which deliveries' data the retention erases now. */
    const erased = async (): Promise<readonly number[]> => {
      const inTenDays = new Date(Date.now() + 10 * DAY_MS);
      await eraseDue(database, { rules: [], days: 1, rememberDays: 400 }, inTenDays);
      const { rows } = await sql<{ number: number }>`
        select number from deliveries join events on events.seq = deliveries.event_seq
        where run = ${run} and erased_at is not null order by number`.execute(database);
      return rows.map(({ number }) => number);
    };

    it('keeps what an open execution would be replayed with, and nothing small', async () => {
      await send(LARGE);
      await send('small');
      await send('unsettled');
      await open('one', 1);
      await settled('one', 2);
      assert.deepEqual(await erased(), [2]);
      await later();
      assert.deepEqual(await erased(), [2]);
    });

    it('keeps it while a run that is settled may wait out a quiet time', async () => {
      await send(LARGE);
      await open('one', 1);
      await settled('one', 1);
      assert.deepEqual(await erased(), []);
      await later();
      assert.deepEqual(await erased(), [1]);
    });

    it('erases it when the run has continued as new', async () => {
      for (let n = 1; n <= 3; n += 1) await send(LARGE);
      await open('one', 1);
      await settled('one', 1);
      await settled('two', 2);
      assert.deepEqual(await erased(), [1]);
    });

    it('erases it when the run has begun anew', async () => {
      await send(LARGE);
      await open('one', 1);
      await settled('one', 1);
      await send(LARGE);
      await open('two', 2);
      assert.deepEqual(await erased(), [1]);
    });
  });
}
