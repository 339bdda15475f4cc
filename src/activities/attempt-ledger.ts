/**
 * What an operation's attempts know of those before them. It travels in Temporal's heartbeat details:
 * the last ones of an attempt are kept with its failure, and given to the next attempt, on whatever
 * worker.
 */
export interface AttemptLedger {
  /** When the first attempt began, by Temporal's clock as well as its worker knew it, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Attempts whose end was reported. An attempt missing here died with its worker. */
  readonly ended: number;
  /** Of those, the ones that do not count: throttled, or stopped with their worker. */
  readonly free: number;
}

/** Of Temporal's activity info. */
interface AttemptInfo {
  readonly attempt: number;
  readonly heartbeatDetails: unknown;
  /** When the activity was scheduled, before its first attempt. */
  readonly scheduledTimestampMs: number;
  readonly currentAttemptScheduledTimestampMs: number;
}

/** The ledger at the beginning of an attempt. */
export function openLedger(
  { attempt, heartbeatDetails, scheduledTimestampMs }: AttemptInfo,
  nowMs: number,
): AttemptLedger {
  const kept = isLedger(heartbeatDetails) ? heartbeatDetails : undefined;
  if (kept !== undefined && kept.ended < attempt) return kept;
  // Without a ledger, an attempt before this one died before its first heartbeat, and after it was scheduled. One
  // that is ahead is from before an operator reset the activity, whose attempts began at 1 again.
  const isAfterDeath = attempt > 1 && kept === undefined;
  const startedAtMs = isAfterDeath ? scheduledTimestampMs : Math.max(nowMs, scheduledTimestampMs);
  return { startedAtMs, ended: 0, free: 0 };
}

/**
 * How long an operation has taken from when its first attempt began, by Temporal's clock and what this attempt
 * has taken: a worker's own clock may be another one's, or be set.
 */
export const elapsedMs = (
  { startedAtMs }: AttemptLedger,
  { attempt, currentAttemptScheduledTimestampMs }: AttemptInfo,
  attemptMs: number,
): number =>
  attemptMs + (attempt > 1 ? Math.max(0, currentAttemptScheduledTimestampMs - startedAtMs) : 0);

/** The ledger at the end of an attempt. */
export const closeLedger = (
  ledger: AttemptLedger,
  attempt: { readonly counted: boolean },
): AttemptLedger => ({
  ...ledger,
  ended: ledger.ended + 1,
  free: ledger.free + (attempt.counted ? 0 : 1),
});

/** Whether an earlier attempt ended without a word: its worker was killed, its call may have gone out. */
export const lostAttempt = (ledger: AttemptLedger, attempt: number): boolean =>
  ledger.ended < attempt - 1;

function isLedger(value: unknown): value is AttemptLedger {
  if (typeof value !== 'object' || value === null) return false;
  const { startedAtMs, ended, free } = value as Partial<Record<keyof AttemptLedger, unknown>>;
  return [startedAtMs, ended, free].every(
    (number) => typeof number === 'number' && Number.isFinite(number) && number >= 0,
  );
}
