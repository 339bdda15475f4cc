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
import type { InHistory } from './in-history.ts';

// Local activities: a write is milliseconds, and it must not wait behind the operations of
// connectors. They are tried until the journal is back.
const options: LocalActivityOptions = {
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '30 seconds',
  retry: { initialInterval: '100 milliseconds', maximumInterval: '10 seconds' },
};
type Calls = JournalActivities & EmitActivities;
const activities =
  proxyLocalActivities<
    Record<string, (input: Parameters<Calls[keyof Calls]>[0]) => Promise<unknown>>
  >(options);

/** What must not be told by a workflow task that may be done again and come to something else. */
const RESTS_ON_HISTORY: ReadonlySet<keyof Calls> = new Set([
  'journal.settle',
  'journal.voice',
  'journal.resume',
  'tidegate.emit',
]);

/** The journal as a run uses it: one call at a time. */
export interface RunJournal {
  open(input: OpenRunInput): Promise<OpenRunResult>;
  settle(input: SettleRunInput): Promise<void>;
  park(input: ParkRunInput): Promise<void>;
  voice(input: VoiceRunInput): Promise<void>;
  record(input: RecordStepInput): Promise<void>;
  readEvents(input: ReadEventsInput): Promise<readonly Delivery[]>;
  /** Through the stages of the ingress, in the worker's process. */
  emit(input: EmitInput): Promise<Emitted>;
  hold(input: HoldRunInput): Promise<void>;
  resume(input: ResumeRunInput): Promise<void>;
}

/**
 * The journal of one run. Branches write to it beside each other, so calls take turns: local activities
 * that end one by one end together in a replay, and what follows them would come in another order.
 */
export function createJournal(inHistory: InHistory): RunJournal {
  let last: Promise<unknown> = Promise.resolve();
  const call = <Name extends keyof Calls>(
    name: Name,
    summary: string,
    input: Parameters<Calls[Name]>[0],
  ): ReturnType<Calls[Name]> => {
    const called = last.then(async () => {
      if (RESTS_ON_HISTORY.has(name)) await inHistory.all();
      return await activity(name).executeWithOptions(
        { ...options, summary: summary.slice(0, 200) },
        [input],
      );
    });
    last = called.then(nothing, nothing);
    return called as ReturnType<Calls[Name]>;
  };
  return {
    open: (input) => call('journal.open', `open, first delivery ${input.firstNumber}`, input),
    settle: (input) =>
      call('journal.settle', `${input.outcome}, deliveries through ${input.through}`, input),
    park: (input) =>
      call(
        'journal.park',
        `${input.step} needs a person: ${input.errorClass ?? input.question?.kind ?? 'a question'}`,
        input,
      ),
    voice: (input) =>
      call('journal.voice', `${input.voice.action} by ${input.voice.approver}`, input),
    record: (input) => call('journal.record', `record of ${input.step}`, input),
    readEvents: (input) =>
      call(
        'journal.readEvents',
        `events after delivery ${input.after}, through ${input.through}`,
        input,
      ),
    emit: (input) => call('tidegate.emit', input.event.type, input),
    hold: (input) =>
      call('journal.hold', input.held ? 'the inbox is full' : 'the inbox has room again', input),
    resume: (input) =>
      call('journal.resume', `${input.decision.action}, decided by ${input.decision.actor}`, input),
  };
}

function activity(name: keyof Calls) {
  const found = activities[name];
  if (found === undefined) throw new Error(`no activity ${name}`);
  return found;
}

const nothing = (): void => {};
