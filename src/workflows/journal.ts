import { type LocalActivityOptions, proxyLocalActivities } from '@temporalio/workflow';
import type {
  HoldRunInput,
  JournalActivities,
  OpenRunInput,
  OpenRunResult,
  ParkRunInput,
  ResumeRunInput,
  SettleRunInput,
} from '../model/protocol.ts';

// Local activities: a write is milliseconds, and it must not wait behind the operations of
// connectors. They are tried until the journal is back.
const options: LocalActivityOptions = {
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '30 seconds',
  retry: { initialInterval: '100 milliseconds', maximumInterval: '10 seconds' },
};
const activities = proxyLocalActivities<JournalActivities>(options);

/** The journal as a run writes to it. */
export const journal = {
  open: (input: OpenRunInput): Promise<OpenRunResult> =>
    activities['journal.open'].executeWithOptions(
      { ...options, summary: `open, first delivery ${input.firstNumber}` },
      [input],
    ),
  settle: (input: SettleRunInput): Promise<void> =>
    activities['journal.settle'].executeWithOptions(
      { ...options, summary: `${input.outcome}, deliveries through ${input.through}` },
      [input],
    ),
  park: (input: ParkRunInput): Promise<void> =>
    activities['journal.park'].executeWithOptions(
      { ...options, summary: `${input.step} needs a person: ${input.errorClass}` },
      [input],
    ),
  hold: (input: HoldRunInput): Promise<void> =>
    activities['journal.hold'].executeWithOptions(
      { ...options, summary: input.held ? 'the inbox is full' : 'the inbox has room again' },
      [input],
    ),
  resume: (input: ResumeRunInput): Promise<void> =>
    activities['journal.resume'].executeWithOptions(
      { ...options, summary: `${input.decision.action}, decided by ${input.decision.actor}` },
      [input],
    ),
};
