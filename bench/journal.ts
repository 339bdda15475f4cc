/** What the journal has of a load, read from its tables. */
import { execute } from '../test/support/postgres.ts';
import { patiently } from './processes.ts';

/** @throws unless each accepted event is there once, and nothing that was not sent */
export async function keptOnce(
  databaseUrl: string,
  load: { readonly prefix: string; readonly accepted: number; readonly sent: number },
): Promise<void> {
  const { prefix, accepted, sent } = load;
  const [row] = await execute(
    databaseUrl,
    `select count(*)::int as events, coalesce(sum(duplicates), 0)::int as duplicates
     from events where id like '${prefix}-%'`,
  );
  const { events, duplicates } = row as { readonly events: number; readonly duplicates: number };
  // What was in hand when the load ended was taken, and its answer not heard.
  if (events < accepted || events > sent || duplicates > 0) {
    throw new Error(
      `of ${prefix}, ${accepted} of ${sent} were accepted; kept are ${events} and ${duplicates} duplicates`,
    );
  }
}

/** Waits until every run has an outcome for all that it was given. @throws when one is not `completed` */
export async function allCompleted(databaseUrl: string): Promise<void> {
  await patiently('every run to be settled', async () => {
    const [row] = await execute(
      databaseUrl,
      'select from runs where settled_through < accepted_through limit 1',
    );
    return row === undefined ? true : undefined;
  });
  const [other] = await execute(
    databaseUrl,
    "select run, outcome from settlements where outcome <> 'completed' limit 1",
  );
  if (other !== undefined) throw new Error(`${other.run} ended as ${other.outcome}`);
}
