/** The one way in which a flow asks people and waits for them: what `park` and `approval` share. */
import { uuid4 } from '@temporalio/workflow';
import type { ErrorClass } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import type { Question, Resolution } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import { type Asking, type AskingRule, afterNotice, askingDue, startAsking } from './asking.ts';
import { showStage } from './details.ts';
import { type FailureSummary, failureOf, isBug, summaryOf } from './failure.ts';
import { createNotices, type Notices } from './notices.ts';
import { keepOutcome, outcomeOf } from './outcomes.ts';
import {
  type CarriedPark,
  isCarriedPark,
  tellParked,
  type WaitParked,
  whileParked,
} from './park.ts';
import {
  activeStep,
  currentRun,
  nextStep,
  type Parked,
  type RunInWindow,
  takeResuming,
} from './run-scope.ts';

/** A notice as it is given to the primitive that asks. */
export interface Notice {
  readonly kind: 'ask' | 'reminder' | 'escalation';
  readonly number: number;
  readonly run: RunId;
  readonly parked: Parked;
  readonly dueAt?: number;
}

export interface AskOptions<Result> {
  /** The primitive, which names the step. */
  readonly name: 'park' | 'approval';
  readonly rule: AskingRule;
  readonly why: { readonly errorClass?: ErrorClass; readonly reason: string };
  readonly question: Omit<Question, 'dueAt' | 'linkNonce'>;
  /** Who is asked from the escalation on, beside those of the question. */
  readonly escalateTo?: readonly string[];
  /** For the run's details. */
  readonly shows: string;
  readonly notify?: (notice: Notice) => Promise<unknown>;
  /** How it has ended, undefined while it has not. Pure. */
  resolve(
    state: Pick<Parked, 'voices' | 'decision'> & { readonly ended: boolean },
  ): Resolution | undefined;
  /** What the step returns, or throws: JSON. */
  result(end: {
    readonly step: string;
    readonly resolution: Resolution;
    readonly parked: Parked;
    readonly asking: Asking;
    readonly closedAt: number;
  }): Result;
}

/** What a step that asks remembers across continue-as-new. */
interface Memory {
  readonly asking: Asking;
  /** How many voices the journal has been told. */
  readonly told: number;
}

/** How it has ended, and when: before what was on its way to people was called off. */
interface Answered {
  readonly resolution: Resolution;
  readonly asking: Asking;
  readonly closedAt: number;
}

export async function askPeople<Result>(options: AskOptions<Result>): Promise<Result> {
  const scope = currentRun(options.name);
  const step = nextStep(scope.window, options.name);
  const done = scope.window.steps.get(step);
  if (done !== undefined) return done as unknown as Result;
  const failed = outcomeOf(scope.window, step) as { readonly error: FailureSummary } | undefined;
  if (failed !== undefined) throw failureOf(failed.error);
  const end = await activeStep(scope, () => untilResolved(scope, step, options));
  try {
    const result = options.result({ step, ...end });
    scope.window.steps.set(step, result as unknown as Json);
    return result;
  } catch (error) {
    // After continue-as-new the body meets the same answer again; after a person's retry it asks anew.
    if (!isBug(error))
      keepOutcome(scope.window, step, { status: 'failed', error: summaryOf(error) });
    throw error;
  }
}

async function untilResolved<Result>(
  scope: RunInWindow,
  step: string,
  options: AskOptions<Result>,
): Promise<Answered & { readonly parked: Parked }> {
  const carried = takeResuming(scope.window, step);
  const resumed = isCarriedPark(carried) ? carried : undefined;
  const why = resumed ?? openQuestion(options, Date.now());
  const memory = (resumed?.memory as Memory | undefined) ?? {
    asking: startAsking(Date.now()),
    told: 0,
  };
  const notices = createNotices(scope);
  let asked: (Answered & { readonly parked: Parked }) | undefined;
  try {
    const resolution = await whileParked(scope, step, why, async (parked, wait) => {
      const answered = await ask(scope, { step, parked, wait, notices, memory, options });
      asked = { parked, ...answered };
      return answered.resolution;
    });
    if (asked === undefined) throw new Error(`${step} ended without having asked`);
    return { ...asked, resolution };
  } finally {
    await notices.close();
  }
}

const openQuestion = <Result>(
  { question, why, rule, name }: AskOptions<Result>,
  now: number,
): Omit<CarriedPark, 'parkId' | 'step'> => ({
  ...why,
  question: {
    ...question,
    ...(rule.withinMs === undefined ? {} : { dueAt: now + rule.withinMs }),
    ...(name === 'approval' ? { linkNonce: uuid4() } : {}),
  },
});

async function ask<Result>(
  scope: RunInWindow,
  {
    step,
    parked,
    wait,
    notices,
    memory,
    options,
  }: {
    readonly step: string;
    readonly parked: Parked;
    readonly wait: WaitParked;
    readonly notices: Notices;
    readonly memory: Memory;
    readonly options: AskOptions<Result>;
  },
): Promise<Answered> {
  let { asking, told } = memory;
  let shown = notices.ended();
  const { run } = scope.input;
  const due = () => askingDue(options.rule, asking, Date.now());
  const resolution = (): Resolution | undefined =>
    options.resolve({
      voices: parked.voices,
      ...(parked.decision === undefined ? {} : { decision: parked.decision }),
      ended: due().due === 'end',
    });

  for (;;) {
    const bug = notices.bug();
    if (bug !== undefined) throw bug.error;
    const voice = parked.voices[told];
    if (voice !== undefined) {
      await scope.journal.voice({ run, parkId: parked.parkId, voice });
      told += 1;
      continue;
    }
    const resolved = resolution();
    if (resolved !== undefined) return { resolution: resolved, asking, closedAt: Date.now() };
    const next = due();
    if (next.due !== undefined && next.due !== 'end') {
      asking = afterNotice(asking, next.due, Date.now());
      if (next.due === 'escalation') await escalate(scope, parked, options.escalateTo ?? []);
      tell(next.due, asking.notices);
      continue;
    }
    showStage(scope, 'parked', options.shows);
    shown = notices.ended();
    await wait({
      isOver: () =>
        parked.voices.length > told ||
        resolution() !== undefined ||
        due().due !== undefined ||
        // A notice's calls have shown themselves instead of the question.
        notices.ended() !== shown,
      dueAt: () => due().dueAt,
      memory: (): Memory => ({ asking, told }),
    });
  }

  function tell(kind: Notice['kind'], number: number): void {
    const { notify } = options;
    if (notify === undefined) return;
    // Behind a notice that waits for a person they would all come at once when it has been helped.
    if (kind === 'reminder' && notices.isBusy()) return;
    const dueAt = parked.question?.dueAt;
    notices.send(`${step}/notice ${number}`, () =>
      notify({ kind, number, run, parked, ...(dueAt === undefined ? {} : { dueAt }) }),
    );
  }
}

/** From now on others are asked as well. */
async function escalate(
  scope: RunInWindow,
  parked: Parked,
  escalateTo: readonly string[],
): Promise<void> {
  if (parked.question === undefined) return;
  const approvers = [...new Set([...parked.question.approvers, ...escalateTo])];
  parked.question = { ...parked.question, approvers };
  await tellParked(scope, parked);
}
