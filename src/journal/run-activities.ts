import { sql } from 'kysely';
import { TidegateError } from '../model/error.ts';
import type {
  HoldRunInput,
  JournalActivities,
  OpenRunInput,
  OpenRunResult,
} from '../model/protocol.ts';
import { parseRunId } from '../model/run.ts';
import { runLane } from './lanes.ts';
import { parkRun, resumeRun, voice } from './parks.ts';
import { readEvents } from './read-events.ts';
import type { JournalDatabase } from './schema.ts';
import { settle } from './settle.ts';
import { recordStep } from './step-records.ts';

/** What runs write, and read of themselves. Every one can be repeated: Temporal calls an activity at least once. */
export const runActivities = (database: JournalDatabase): JournalActivities => ({
  'journal.open': (input) => openRun(database, input),
  'journal.settle': (input) => settle(database, input),
  'journal.park': (input) => parkRun(database, input),
  'journal.voice': (input) => voice(database, input),
  'journal.resume': (input) => resumeRun(database, input),
  'journal.hold': (input) => holdRun(database, input),
  'journal.record': (input) => recordStep(database, input),
  'journal.readEvents': (input) => readEvents(database, input),
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

async function holdRun(database: JournalDatabase, { run, held }: HoldRunInput): Promise<void> {
  await database.updateTable('runs').set({ held }).where('run', '=', run).execute();
}
