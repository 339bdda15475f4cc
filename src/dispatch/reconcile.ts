import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { PendingRun } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { type Repetition, repeat } from '../repeat.ts';
import type { Logger } from '../telemetry.ts';

/** A run is looked at when nothing has been heard of it for this long. */
const IDLE_MS = 60_000;
const RUNS_MAX = 100;
/** Workflow tasks that fail this often in a row are a fault of the flow's code, not of a worker. */
const FAILING_ATTEMPTS = 5;

export interface ReconcileContext {
  readonly journal: Journal;
  readonly client: Client;
  /** Of the namespace that a run is in. @default `client` */
  readonly clientOf?: (namespace: string | undefined) => Client;
  readonly logger: Logger;
}

/**
 * Looks for runs that ended outside the flow's control: terminated from the Web UI, timed out, over a
 * limit. What they had not settled becomes dead letters. A run whose code keeps failing is noted on
 * the run. Returns how many runs were found lost.
 */
export async function reconcile(
  context: ReconcileContext,
  lanes: readonly number[],
  { idleMs = IDLE_MS, failingAttempts = FAILING_ATTEMPTS } = {},
): Promise<number> {
  const { journal, client, logger, clientOf = () => client } = context;
  let lost = 0;
  for (const pending of await journal.doubtfulRuns(lanes, idleMs, RUNS_MAX)) {
    const ending = await endingOf(clientOf(pending.namespace), pending, failingAttempts);
    switch (ending.kind) {
      case 'open':
        await journal.markRecovered(pending.run);
        break;
      case 'failing':
        await journal.markDispatchFailed(pending.run, ending.reason);
        break;
      case 'ended':
        // It may have settled and ended while it was looked at.
        if (!(await journal.settleLost(pending.run, pending.sentThrough, ending.reason))) break;
        logger.warn(
          { run: pending.run, reason: ending.reason },
          'a run was lost: see its dead letter',
        );
        lost += 1;
        break;
      default:
        ending satisfies never;
    }
  }
  return lost;
}

const EVERY_MS = 30_000;

/** Looks every half minute, at the lanes held then. */
export function startReconciler(
  context: ReconcileContext & { readonly lanes: () => readonly number[] },
): Repetition {
  const look = async (): Promise<void> => {
    await reconcile(context, context.lanes());
  };
  return repeat(look, {
    everyMs: EVERY_MS,
    failure: 'cannot look for lost runs',
    logger: context.logger,
  });
}

type Ending =
  | { readonly kind: 'open' }
  | { readonly kind: 'failing' | 'ended'; readonly reason: string };

async function endingOf(
  client: Client,
  { run }: PendingRun,
  failingAttempts: number,
): Promise<Ending> {
  try {
    const { status, closeTime, raw } = await client.workflow.getHandle(run).describe();
    // Not by its status: a paused one goes on some day.
    if (closeTime !== undefined) {
      return {
        kind: 'ended',
        reason: `its workflow ended as ${status.name} before it had settled`,
      };
    }
    const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
    if (attempt < failingAttempts) return { kind: 'open' };
    return {
      kind: 'failing',
      reason: `its workflow task has failed ${attempt - 1} times: the flow's code throws or no longer fits its history; deploy a build that does not`,
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      return { kind: 'ended', reason: 'Temporal no longer knows its workflow' };
    }
    throw error;
  }
}
