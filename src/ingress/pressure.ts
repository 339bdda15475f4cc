/** All that watches how much there is to do, as one part of a process. */

import type { DeadLetterCounts } from '../journal/dead-letters.ts';
import type { Backlog, Journal } from '../journal/journal.ts';
import { LIMITS } from '../model/limits.ts';
import type { Logger } from '../telemetry.ts';
import { type Admission, type AdmissionOptions, createAdmission } from './admission.ts';
import { type Watch, watch } from './backlog-watch.ts';
import type { IngressObserver } from './observer.ts';
import type { ShedState, Thresholds } from './shedding.ts';
import { startSheddingMonitor } from './shedding-monitor.ts';

export interface PressureOptions {
  readonly journal: Pick<Journal, 'backlog' | 'countDeadLetters'>;
  readonly limits?: AdmissionOptions['limits'];
  /** From how many waiting deliveries on a priority is refused. @default `LIMITS` */
  readonly shedBacklog?: Thresholds;
  readonly observer: Pick<IngressObserver, 'shed' | 'limited'>;
  readonly onTick: (lateMs: number) => void;
  readonly logger: Logger;
}

export interface Pressure {
  readonly admission: Admission;
  readonly backlog: Watch<Backlog>['last'];
  readonly deadLetters: Watch<DeadLetterCounts>['last'];
  readonly shedState: () => ShedState;
  /** Counts a commit while it is waited for. */
  awaiting<Result>(commit: Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
}

const BACKLOG_MS = 2_000;
const DEAD_LETTERS_MS = 10_000;

const ANSWER_DELAY_MS: Thresholds = {
  low: LIMITS.answerDelayLowMs,
  normal: LIMITS.answerDelayNormalMs,
  high: LIMITS.answerDelayHighMs,
};
const BACKLOG_DELIVERIES: Thresholds = {
  low: LIMITS.backlogLowDeliveries,
  normal: LIMITS.backlogNormalDeliveries,
  high: LIMITS.backlogHighDeliveries,
};

export function startPressure(options: PressureOptions): Pressure {
  const { journal, limits, shedBacklog = BACKLOG_DELIVERIES, observer, onTick, logger } = options;
  const failure = 'cannot ask the journal how much waits';
  const backlog = watch(() => journal.backlog(), { everyMs: BACKLOG_MS, failure, logger });
  const deadLetters = watch(() => journal.countDeadLetters(), {
    everyMs: DEAD_LETTERS_MS,
    failure,
    logger,
  });
  const monitor = startSheddingMonitor({
    limits: { backlogDeliveries: shedBacklog, answerDelayMs: ANSWER_DELAY_MS },
    backlogDeliveries: () => backlog.last()?.value.deliveries ?? 0,
    logger,
    onTick,
  });
  return {
    admission: createAdmission({
      ...(limits && { limits }),
      sheds: monitor.refuses,
      observer,
    }),
    backlog: backlog.last,
    deadLetters: deadLetters.last,
    shedState: monitor.state,
    awaiting: monitor.awaiting,
    async stop() {
      monitor.stop();
      await Promise.all([backlog.stop(), deadLetters.stop()]);
    },
  };
}
