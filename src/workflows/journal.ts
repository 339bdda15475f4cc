import { type LocalActivityOptions, proxyLocalActivities } from '@temporalio/workflow';
import type { Delivery } from '../model/event.ts';
import type {
  EmitActivities,
  EmitInput,
  Emitted,
  HoldRunInput,
  JournalActivities,
  OpenRunInput,
  OpenRunResult,
  ParkRunInput,
  ReadEventsInput,
  RecordStepInput,
  ResumeRunInput,
  SettleRunInput,
  VoiceRunInput,
} from '../model/protocol.ts';

// Local activities: a write is milliseconds, and it must not wait behind the operations of
// connectors. They are tried until the journal is back.
const options: LocalActivityOptions = {
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '30 seconds',
  retry: { initialInterval: '100 milliseconds', maximumInterval: '10 seconds' },
};
const activities = proxyLocalActivities<JournalActivities & EmitActivities>(options);

/** The journal as a run uses it. */
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
      {
        ...options,
        summary:
          `${input.step} needs a person: ${input.errorClass ?? input.question?.title ?? input.reason}`.slice(
            0,
            200,
          ),
      },
      [input],
    ),
  voice: (input: VoiceRunInput): Promise<void> =>
    activities['journal.voice'].executeWithOptions(
      { ...options, summary: `${input.voice.action} by ${input.voice.approver}`.slice(0, 200) },
      [input],
    ),
  record: (input: RecordStepInput): Promise<void> =>
    activities['journal.record'].executeWithOptions(
      { ...options, summary: `record of ${input.step}`.slice(0, 200) },
      [input],
    ),
  readEvents: (input: ReadEventsInput): Promise<readonly Delivery[]> =>
    activities['journal.readEvents'].executeWithOptions(
      { ...options, summary: `events after delivery ${input.after}, through ${input.through}` },
      [input],
    ),
  /** Through the stages of the ingress, in the worker's process. */
  emit: (input: EmitInput): Promise<Emitted> =>
    activities['tidegate.emit'].executeWithOptions(
      { ...options, summary: input.event.type.slice(0, 200) },
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
