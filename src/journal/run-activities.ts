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
import { PREPARED } from './prepared.ts';
import { readEvents } from './read-events.ts';
import type { JournalDatabase } from './schema.ts';
import { settle } from './settle.ts';
import type { Settler } from './settler.ts';
import { recordStep } from './step-records.ts';

/** What runs write, and read of themselves. Every one can be repeated: Temporal calls an activity at least once. */
export const runActivities = (
  database: JournalDatabase,
  settler: Pick<Settler, 'settle'>,
): JournalActivities => ({
  'journal.open': (input) => openRun(database, input),
  'journal.settle': settler.settle,
  'journal.park': (input) => parkRun(database, input),
  'journal.voice': (input) => voice(database, input),
  'journal.resume': (input) => resumeRun(database, input),
  'journal.hold': (input) => holdRun(database, input),
  'journal.record': (input) => recordStep(database, input),
  'journal.readEvents': (input) => readEvents(database, input),
});

async function openRun(database: JournalDatabase, input: OpenRunInput): Promise<OpenRunResult> {
  const { run, firstNumber } = input;
  const settledThrough = await noteOpened(database, input);
  if (settledThrough !== undefined) return { settledThrough };
  return database.transaction().execute(async (transaction) => {
    // Before the row learns this execution: the gap belongs to the one before.
    await settle(transaction, {
      run,
      through: firstNumber - 1,
      outcome: 'lost',
      reason:
        'An earlier execution of the run had taken these events and ended without an outcome.',
    });
    return { settledThrough: (await noteOpened(transaction, input)) ?? firstNumber - 1 };
  });
}

/**
 * Notes the run's execution; returns how far the run is settled. Undefined, and nothing is noted, when what
 * comes before this execution is not.
 */
async function noteOpened(
  database: JournalDatabase,
  { run, workflowRunId, firstNumber }: OpenRunInput,
): Promise<number | undefined> {
  const parts = parseRunId(run);
  if (parts === undefined) {
    throw new TidegateError(
      'run_not_found',
      `${run} is not the id of a run: it must be <flow>:<tenant>:<key>.`,
    );
  }
  // A run that this journal has never heard of: its deliveries came from another, older one.
  const before = Math.max(firstNumber - 1, 0);
  const { rows } = await sql<{ settled_through: number }>`${PREPARED}
    insert into runs (
      run, flow, tenant, key, lane, accepted_through, sent_through, settled_through, status,
      workflow_run_id, opened_at
    )
    values (
      ${run}, ${parts.flow}, ${parts.tenant}, ${parts.key}, ${runLane(run)}::smallint,
      ${before}::bigint, ${before}::bigint, ${before}::bigint, 'settled', ${workflowRunId}, now()
    )
    on conflict (run) do update set
      workflow_run_id = excluded.workflow_run_id,
      -- A new execution has an empty inbox, whatever the one before it had asked for.
      held = runs.held and runs.workflow_run_id = excluded.workflow_run_id,
      opened_at = case
        when runs.workflow_run_id = excluded.workflow_run_id then runs.opened_at
        else now()
      end,
      updated_at = now(),
      touched_at = now()
    where runs.settled_through >= excluded.settled_through
    returning settled_through`.execute(database);
  return rows[0]?.settled_through;
}

async function holdRun(database: JournalDatabase, { run, held }: HoldRunInput): Promise<void> {
  await database.updateTable('runs').set({ held }).where('run', '=', run).execute();
}
