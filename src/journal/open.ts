import { sql } from 'kysely';
import { admitDue, reviewWaiting } from './admissions.ts';
import { apiKeysOf } from './api-keys.ts';
import { makeAppender } from './append.ts';
import { auditOf } from './audit.ts';
import { backlog, countDeadLetters } from './backlog.ts';
import { ancestorsOf } from './chain.ts';
import { dataOfEvents } from './data-of-events.ts';
import { openEmbeddedDatabase, openServerDatabase } from './database.ts';
import { unavailable } from './database-error.ts';
import { listDeadLetters } from './dead-letter-queries.ts';
import {
  deliveriesAfter,
  doubtfulRuns,
  isHeld,
  markDispatchFailed,
  markRecovered,
  markSent,
  pendingRuns,
} from './dispatch-queries.ts';
import { findEvents, listEvents } from './event-queries.ts';
import { eventsOfRuns } from './events-of-runs.ts';
import { claimEchoes, recordWrite, withdrawWrite } from './fingerprints.ts';
import { resetFuse, tripFuses } from './fuse.ts';
import type { Journal } from './journal.ts';
import { leaseLanes, releaseLanes } from './lanes.ts';
import type { JournalLogger } from './logger.ts';
import { listOutbox, recordOutbox } from './outbox.ts';
import { findPark, findQuestion } from './park-queries.ts';
import { makePartitions } from './partitions.ts';
import { hasPlacedRuns, placeRun } from './place-run.ts';
import { rawDeliveriesOf } from './raw-deliveries.ts';
import { redeliveryOf } from './redelivery.ts';
import { reject } from './rejections.ts';
import { eraseDue } from './retention.ts';
import { runActivities } from './run-activities.ts';
import { findRun, listRuns } from './run-queries.ts';
import type { JournalDatabase } from './schema.ts';
import { NO_SEALING, type Sealing } from './sealing.ts';
import { settle } from './settle.ts';
import { makeSettler } from './settler.ts';
import { stepRecords } from './step-records.ts';
import { countRefusal, setAside } from './undeliverable.ts';
import { localWakeUps, serverWakeUps, type WakeUps } from './wake-ups.ts';

export interface JournalOptions {
  /** A PostgreSQL server, `postgres://user:password@host:5432/database`. Default: the embedded one. */
  readonly databaseUrl?: string;
  /** Where the embedded journal keeps its files. Default: in memory only, for tests. */
  readonly directory?: string;
  readonly logger?: JournalLogger;
  /** What encrypts event data. @default nothing does */
  readonly sealing?: Sealing;
}

const PING_MS_MAX = 1_000;

/**
 * Opens the journal and brings its tables up to date.
 *
 * @throws TidegateError `config_invalid` for a URL that is not PostgreSQL's, `journal_unavailable`
 * when the server does not answer or another process has the directory open.
 * @example
 * ```ts
 * const journal = await openJournal({ directory: '.tidegate/journal' });
 * ```
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { databaseUrl, directory, logger, sealing = NO_SEALING } = options;
  if (databaseUrl === undefined) {
    return journalOf(await openEmbeddedDatabase(directory, sealing), localWakeUps());
  }
  const database = await openServerDatabase(databaseUrl, { sealing, logger });
  const wakeUps = serverWakeUps({ databaseUrl, logger }, async (channel, message) => {
    await sql`select pg_notify(${channel}, ${message})`.execute(database);
  });
  return journalOf(database, wakeUps);
}

function journalOf(database: JournalDatabase, wakeUps: WakeUps): Journal {
  const appender = makeAppender(database);
  const settler = makeSettler(database);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await wakeUps.close();
    await Promise.all([appender.close(), settler.close()]);
    await database.destroy();
  };
  return {
    append: appender.append,
    reject: (rejections) => reject(database, rejections),
    leaseLanes: (holder, ttlMs) =>
      leaseLanes(database, holder, ttlMs, () => wakeUps.standFor(holder)),
    releaseLanes: (holder, lanes) => releaseLanes(database, holder, lanes),
    wake: wakeUps.wake,
    onWake: wakeUps.onWake,
    admit: (limits) => admitDue(database, limits),
    reviewWaiting: () => reviewWaiting(database),
    pendingRuns: (lanes, limit) => pendingRuns(database, lanes, limit),
    isHeld: (run) => isHeld(database, run),
    deliveriesAfter: (run, after, bounds) => deliveriesAfter(database, run, after, bounds),
    markSent: (holder, marks) => markSent(database, holder, marks),
    markDispatchFailed: (run, error) => markDispatchFailed(database, run, error),
    markRecovered: (run) => markRecovered(database, run),
    countRefusal: (refusal) => countRefusal(database, refusal),
    setAside: (holder, undeliverable) => setAside(database, holder, undeliverable),
    doubtfulRuns: (lanes, idleMs, limit) => doubtfulRuns(database, lanes, idleMs, limit),
    placeRun: (run, place) => placeRun(database, run, place),
    hasPlacedRuns: () => hasPlacedRuns(database),
    settleLost: (run, through, reason) =>
      settle(database, { run, through, outcome: 'lost', reason }),
    activities: runActivities(database, settler),
    recordWrite: (write) => recordWrite(database, write),
    withdrawWrite: (idempotencyKey) => withdrawWrite(database, idempotencyKey),
    claimEchoes: (told) => claimEchoes(database, told),
    ancestorsOf: (event) => ancestorsOf(database, event),
    tripFuses: (checks) => tripFuses(database, checks),
    resetFuse: (run, act) => resetFuse(database, run, act),
    recordOutbox: (entry) => recordOutbox(database, entry),
    listEvents: (filter, page) => listEvents(database, filter, page),
    findEvents: (tenant, id) => findEvents(database, tenant, id),
    listRuns: (filter, page) => listRuns(database, filter, page),
    findRun: (run) => findRun(database, run),
    findPark: (run, parkId) => findPark(database, run, parkId),
    findQuestion: (run, parkId) => findQuestion(database, run, parkId),
    stepRecords: (run) => stepRecords(database, run),
    prepareDays: (now) => makePartitions(database, now),
    eraseDue: (retention, now) => eraseDue(database, retention, now),
    dataOfEvents: (owner, names) => dataOfEvents(database, owner, names),
    eventsOfRuns: (runs, types) => eventsOfRuns(database, runs, types),
    listDeadLetters: (page, filter) => listDeadLetters(database, page, filter),
    redelivery: redeliveryOf(database),
    audit: auditOf(database),
    rawDeliveries: rawDeliveriesOf(database),
    listOutbox: (filter, page) => listOutbox(database, filter, page),
    apiKeys: apiKeysOf(database),
    backlog: () => backlog(database),
    countDeadLetters: () => countDeadLetters(database),
    ping: () => ping(database),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

async function ping(database: JournalDatabase): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable(`no answer in ${PING_MS_MAX} ms`)), PING_MS_MAX);
  });
  try {
    await Promise.race([sql`select 1`.execute(database), late]);
  } finally {
    clearTimeout(timer);
  }
}
