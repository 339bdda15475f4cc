import { sql } from 'kysely';
import type { ParkRunInput, ResumeRunInput, VoiceRunInput } from '../model/protocol.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedJson, sealedText, tenantOf } from './sealing.ts';
import { storable } from './text.ts';

/** Notes that a run waits for a person; told again, what is asked is what was told last. */
export async function parkRun(database: JournalDatabase, input: ParkRunInput): Promise<void> {
  const { run, parkId, step, errorClass, reason, question } = input;
  const tenant = tenantOf(run);
  await sql`
    with parked as (
      insert into parks (run, park_id, step, error_class, reason, question)
      values (
        ${run}, ${parkId}, ${storable(step)}, ${errorClass ?? null}::text,
        ${sealedText(storable(reason), { tenant, column: 'reason' })},
        ${question === undefined ? null : sealedJson(question, { tenant, column: 'question' })}::json
      )
      on conflict (run, park_id) do update set
        reason = excluded.reason,
        question = excluded.question
      where parks.decided_at is null and parks.closed_at is null
      returning run
    )
    update runs set status = 'parked', updated_at = now(), touched_at = now()
    from parked
    where runs.run = parked.run`.execute(database);
}

/** Keeps what one of the approvers has said; what is said first stands. */
export async function voice(database: JournalDatabase, input: VoiceRunInput): Promise<void> {
  const { approver, action, reason, at, via } = input.voice;
  await sql`
    with said as (
      insert into voices (run, park_id, approver, action, reason, at, via)
      values (
        ${input.run}, ${input.parkId}, ${storable(approver)}, ${action}, ${storable(reason)},
        ${at}::bigint, ${via}
      )
      on conflict (run, park_id, approver) do nothing
      returning run
    )
    update runs set updated_at = now(), touched_at = now()
    from said
    where runs.run = said.run`.execute(database);
}

/** Notes how a park has ended. */
export async function resumeRun(database: JournalDatabase, input: ResumeRunInput): Promise<void> {
  const { run, parkId, decision } = input;
  await sql`
    with decided as (
      update parks set decided_at = now(), decision = ${sealedJson(decision, { tenant: tenantOf(run), column: 'decision' })}::json
      where run = ${run} and park_id = ${parkId} and decided_at is null
      returning run
    )
    update runs set
      status = case
        when exists (
          select from parks
          where parks.run = runs.run and parks.park_id <> ${parkId}
            and parks.decided_at is null and parks.closed_at is null
        ) then 'parked'
        when runs.settled_through < runs.accepted_through then 'open'
        else 'settled'
      end,
      updated_at = now(),
      touched_at = now()
    from decided
    where runs.run = decided.run`.execute(database);
}
