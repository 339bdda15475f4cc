import { ApplicationFailure } from '@temporalio/workflow';
import { type Duration, durationMs, formatDuration } from '../../model/duration.ts';
import { ERROR_CLASSES, type ErrorClass, TidegateError } from '../../model/error.ts';
import type { Json } from '../../model/event.ts';
import { askPeople } from '../ask-people.ts';
import type { AskingRule, NoticeKind } from '../asking.ts';
import { aborted } from '../failure.ts';

/** How {@link park} asks. */
export interface ParkOptions {
  /** What a person needs to know and to do: 1 to 2,000 characters. */
  readonly reason: string;
  /** What kind of trouble it is, for who looks through dead letters. @default 'persistent' */
  readonly errorClass?: ErrorClass;
  /** After this long without a decision the failure is thrown to the flow. @default it waits for ever */
  readonly atMost?: Duration;
  /** How often `notify` is called again, at least a second. @default it is called once */
  readonly remindEvery?: Duration;
  /** Tells people, by connectors. Its failures do not matter to the park. @default nobody is told */
  readonly notify?: (notice: ParkNotice) => Promise<unknown>;
}

/** What {@link ParkOptions.notify} is given. */
export interface ParkNotice {
  readonly kind: Exclude<NoticeKind, 'escalation'>;
  /** 1 for the first notice. */
  readonly number: number;
  readonly run: string;
  readonly reason: string;
  /** When the park ends by itself, in milliseconds since 1970; absent when it does not. */
  readonly dueAt?: number;
}

/** What a person decided. */
export interface ParkDecision {
  /** `retry`: go on or try again; `skip`: go on without. What they mean is the flow's to say. */
  readonly action: 'retry' | 'skip';
  readonly reason: string;
  readonly actor: string;
  /** What came with the decision. */
  readonly input?: Json;
}

/**
 * Stops here until a person has decided, however long it takes. The run is a dead letter meanwhile,
 * and a decision comes by `POST /api/v1/runs/:run/decisions`.
 *
 * @throws ApplicationFailure of type `run_aborted` when a person aborts, of type `errorClass` when
 * nobody decides within `atMost`. TidegateError `option_invalid` or `duration_invalid`.
 * @example
 * ```ts
 * const decision = await park({ reason: `stock of ${sku} is negative: count it`, atMost: '2d' });
 * if (decision.action === 'skip') return;
 * ```
 */
export async function park(options: ParkOptions): Promise<ParkDecision> {
  const { rule, errorClass } = parkRule(options);
  const { reason, notify } = options;
  return await askPeople({
    name: 'park',
    rule,
    why: { errorClass, reason },
    question: { kind: 'park', title: reason.slice(0, 200), approvers: [], need: 1 },
    shows: `a person must decide: ${reason}`,
    ...(notify === undefined
      ? {}
      : {
          notify: (notice) =>
            notify({
              kind: notice.kind === 'ask' ? 'ask' : 'reminder',
              number: notice.number,
              run: notice.run,
              reason,
              ...(notice.dueAt === undefined ? {} : { dueAt: notice.dueAt }),
            }),
        }),
    resolve: ({ decision, ended }) => {
      if (decision !== undefined) return decision;
      return ended ? expired(rule) : undefined;
    },
    result: ({ step, resolution }) => {
      const { action, actor, input } = resolution;
      if (action === 'abort') throw aborted(step, { errorClass, reason }, resolution.reason);
      if (action !== 'retry' && action !== 'skip') {
        throw ApplicationFailure.nonRetryable(
          `${step}: ${resolution.reason}: ${reason}`,
          errorClass,
        );
      }
      return {
        action,
        actor,
        reason: resolution.reason,
        ...(input === undefined ? {} : { input }),
      };
    },
  });
}

/** That the time was over. */
export const expired = ({ withinMs = 0 }: AskingRule) =>
  ({
    action: 'expired',
    actor: 'tidegate',
    reason: `nobody decided within ${formatDuration(withinMs)}`,
  }) as const;

/** Checks the options. */
export function parkRule(options: ParkOptions): {
  readonly rule: AskingRule;
  readonly errorClass: ErrorClass;
} {
  const { reason, errorClass = 'persistent' } = options;
  if (typeof reason !== 'string' || reason.length === 0 || reason.length > 2_000) {
    throw invalid('reason must be a text of 1 to 2,000 characters');
  }
  if (!ERROR_CLASSES.includes(errorClass)) {
    throw invalid(`errorClass must be one of ${ERROR_CLASSES.join(', ')}, got ${errorClass}`);
  }
  return {
    errorClass,
    rule: {
      ...(options.atMost === undefined
        ? {}
        : { withinMs: durationMs(options.atMost, 'park atMost') }),
      ...remindEvery(options.remindEvery, 'park'),
    },
  };
}

/** Reminders as milliseconds: never closer than a second, for people and for the history's length. */
export function remindEvery(
  every: Duration | undefined,
  primitive: string,
): Pick<AskingRule, 'remindEveryMs'> {
  if (every === undefined) return {};
  const remindEveryMs = durationMs(every, `${primitive} remindEvery`);
  if (remindEveryMs >= 1_000) return { remindEveryMs };
  throw new TidegateError(
    'option_invalid',
    `${primitive}: remindEvery must be at least a second, got ${every}`,
  );
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `park: ${problem}`);
