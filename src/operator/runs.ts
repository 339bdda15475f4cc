import type { Request } from 'express';
import { callerOf } from '../access/authenticate.ts';
import { maySee } from '../access/caller.ts';
import type { Journal } from '../journal/journal.ts';
import type { Paged, RunRow, StepRecordRow } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import type { RunView } from '../model/protocol.ts';
import { makeRunId, parseRunId, type RunId } from '../model/run.ts';
import { type Handler, listQuery, pathParameter } from './handler.ts';
import type { RunOperations } from './run-operations.ts';

export interface TemporalWeb {
  /** Where Temporal's Web UI is, absent when it is not known. */
  readonly temporalUiUrl?: string;
  readonly namespace: string;
}

/** A run as this API shows it. */
export interface ShownRun extends RunRow {
  /** What it is doing, while it is open and answers. */
  readonly live?: RunView;
  /** What the steps of its newest window have done; not in lists. */
  readonly records?: readonly StepRecordRow[];
  readonly links: RunLinks;
}
export interface RunLinks {
  /** Its address in this API. */
  readonly self: string;
  /** Its newest execution's history in Temporal's Web UI, when that is known. */
  readonly history?: string;
}

const STATUSES: Readonly<Record<RunRow['status'], true>> = {
  open: true,
  parked: true,
  settled: true,
};

/** `GET /runs`: runs as the journal knows them, newest first. */
export const listRuns =
  (journal: Journal, web: TemporalWeb): Handler =>
  async (request): Promise<Paged<ShownRun>> => {
    const { filter, page } = listQuery(request, ['tenant', 'flow', 'status'], {
      status: Object.keys(STATUSES),
    });
    const { rows, ...rest } = await journal.listRuns(filter, page);
    return { rows: rows.map((row) => ({ ...row, links: runLinks(row, web) })), ...rest };
  };

/** `GET /runs/:run`: the journal's row and, while the run is open and answers, what it is doing now. */
export const showRun =
  (journal: Journal, runs: RunOperations, web: TemporalWeb): Handler =>
  async (request): Promise<ShownRun> => {
    const row = await findRun(journal, request);
    const [records, live] = await Promise.all([
      journal.stepRecords(row.run),
      mayAnswer(row) ? runs.view(row.run) : undefined,
    ]);
    const links = runLinks(row, web);
    return { ...row, records, ...(live === undefined ? {} : { live }), links };
  };

/** A run that waits for its slot has no execution yet: what would answer is the one before. */
const mayAnswer = ({ status, waitsForSlot }: RunRow): boolean =>
  status !== 'settled' && waitsForSlot === undefined;

/**
 * The run that the path names, if the caller may see it: another tenant's does not exist for them.
 *
 * @throws TidegateError `run_not_found`
 */
export async function findRun(journal: Journal, request: Request): Promise<RunRow> {
  const text = pathParameter(request, 'run');
  const parts = parseRunId(text);
  const isSeen = parts !== undefined && maySee(callerOf(request), parts.tenant);
  const row = isSeen ? await journal.findRun(makeRunId(parts)) : undefined;
  if (row !== undefined) return row;
  throw new TidegateError(
    'run_not_found',
    `The journal has no run ${text}; a run's id is <flow>:<tenant>:<key>, percent-encoded in the address.`,
  );
}

/** Where to look further. */
export function runLinks(
  {
    run,
    workflowRunId,
    namespace: own,
  }: { readonly run: RunId; readonly workflowRunId?: string; readonly namespace?: string },
  { temporalUiUrl, namespace }: TemporalWeb,
): RunLinks {
  const self = `/api/v1/runs/${encodeURIComponent(run)}`;
  if (temporalUiUrl === undefined) return { self };
  const base = `${temporalUiUrl.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(own ?? namespace)}`;
  const workflow = `${base}/workflows/${encodeURIComponent(run)}`;
  return {
    self,
    history:
      workflowRunId === undefined
        ? workflow
        : `${workflow}/${encodeURIComponent(workflowRunId)}/history`,
  };
}
