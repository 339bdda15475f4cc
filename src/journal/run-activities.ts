import { sql } from 'kysely';
import { TidegateError } from '../model/error.ts';
import type {
  HoldRunInput,
  JournalActivities,
  OpenRunInput,
  OpenRunResult,
  ParkRunInput,
  ResumeRunInput,
} from '../model/protocol.ts';
import { parseRunId } from '../model/run.ts';
import { runLane } from './lanes.ts';
import type { JournalDatabase } from './schema.ts';
import { settle } from './settle.ts';
import { storable } from './text.ts';

/** What runs write. Every one can be repeated: Temporal calls an activity at least once. */
export const runActivities = (database: JournalDatabase): JournalActivities => ({
  'journal.open': (input) => openRun(database, input),
  'journal.settle': (input) => settle(database, input),
  'journal.park': (input) => parkRun(database, input),
  'journal.resume': (input) => resumeRun(database, input),
  'journal.hold': (input) => holdRun(database, input),
});

async function openRun(database: JournalDatabase, input: OpenRunInput): Promise<OpenRunResult> {
  const { run, firstNumber } = input;
  return database.transaction().execute(async (transaction) => {
    // Before the row learns this execution: the gap belongs to the one before.
    await settle(transaction, {
      run,
      through: firstNumber - 1,
      outcome: 'lost',
      reason:
        'An earlier execution of the run had taken these events and ended without an outcome.',
    });
    return { settledThrough: await upsertOpened(transaction, input) };
  });
}

/** Notes the run's execution; returns how far the run is settled. */
async function upsertOpened(database: JournalDatabase, input: OpenRunInput): Promise<number> {
  const { run, workflowRunId, firstNumber } = input;
  const parts = parseRunId(run);
  if (parts === undefined) {
    throw new TidegateError(
      'run_not_found',
      `${run} is not the id of a run: it must be <flow>:<tenant>:<key>.`,
    );
  }
  const before = Math.max(firstNumber - 1, 0);
  const { settled_through: settledThrough } = await database
    .insertInto('runs')
    .values({
      run,
      ...parts,
      lane: runLane(run),
      // A run that this journal has never heard of: its deliveries came from another, older one.
      accepted_through: before,
      sent_through: before,
      settled_through: before,
      status: 'settled',
      workflow_run_id: workflowRunId,
      opened_at: sql<Date>`now()`,
    })
    .onConflict((conflict) =>
      conflict.column('run').doUpdateSet({
        workflow_run_id: workflowRunId,
        // A new execution has an empty inbox, whatever the one before it had asked for.
        held: sql<boolean>`runs.held and runs.workflow_run_id = ${workflowRunId}`,
        opened_at: sql<Date>`
          case when runs.workflow_run_id = ${workflowRunId} then runs.opened_at else now() end`,
        updated_at: sql<Date>`now()`,
        touched_at: sql<Date>`now()`,
      }),
    )
    .returning('settled_through')
    .executeTakeFirstOrThrow();
  return settledThrough;
}

async function parkRun(database: JournalDatabase, input: ParkRunInput): Promise<void> {
  const { run, parkId, step, errorClass, reason } = input;
  await sql`
    with parked as (
      insert into parks (run, park_id, step, error_class, reason)
      values (${run}, ${parkId}, ${storable(step)}, ${errorClass}, ${storable(reason)})
      on conflict (run, park_id) do nothing
      returning run
    )
    update runs set status = 'parked', updated_at = now(), touched_at = now()
    from parked
    where runs.run = parked.run`.execute(database);
}

async function resumeRun(database: JournalDatabase, input: ResumeRunInput): Promise<void> {
  const { run, parkId, decision } = input;
  await sql`
    with decided as (
      update parks set decided_at = now(), decision = ${JSON.stringify(decision)}::json
      where run = ${run} and park_id = ${parkId} and decided_at is null
      returning run
    )
    update runs set
      status = case
        when exists (
          select from parks
          where parks.run = runs.run and parks.park_id <> ${parkId}
            and parks.decided_at is null and parks.closed_at is null
        ) then 'parked'
        when runs.settled_through < runs.accepted_through then 'open'
        else 'settled'
      end,
      updated_at = now(),
      touched_at = now()
    from decided
    where runs.run = decided.run`.execute(database);
}

async function holdRun(database: JournalDatabase, { run, held }: HoldRunInput): Promise<void> {
  await database.updateTable('runs').set({ held }).where('run', '=', run).execute();
}
