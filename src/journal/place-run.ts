import { sql } from 'kysely';
import { TidegateError } from '../model/error.ts';
import { TASK_QUEUE } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import type { RunPlace } from './deliveries.ts';
import type { JournalDatabase } from './schema.ts';

/**
 * A run's place is written before anything is sent there, and stays until all that was sent is
 * settled. So a dispatcher that does not know whether a call of another one arrived sends to the same
 * workflow, whatever its own routes say by now.
 */
export async function placeRun(
  database: JournalDatabase,
  run: RunId,
  { taskQueue, namespace }: RunPlace,
): Promise<RunPlace> {
  const { rows } = await sql<{ task_queue: string; namespace: string | null }>`
    update runs set
      task_queue = case
        when placed then task_queue
        when sent_through > settled_through then ${TASK_QUEUE}
        else ${taskQueue}
      end,
      namespace = case
        when placed then namespace
        -- Sent before there were routes: its workflow is where all of them were.
        when sent_through > settled_through then null
        else ${namespace ?? null}::text
      end,
      placed = true
    where run = ${run}
    returning task_queue, namespace`.execute(database);
  const [row] = rows;
  if (row === undefined) {
    throw new TidegateError('internal_error', `the journal has no run ${run} to find a place for.`);
  }
  return {
    taskQueue: row.task_queue,
    ...(row.namespace !== null && { namespace: row.namespace }),
  };
}

export async function hasPlacedRuns(database: JournalDatabase): Promise<boolean> {
  const row = await database
    .selectFrom('runs')
    .select('run')
    .where('placed', '=', true)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
