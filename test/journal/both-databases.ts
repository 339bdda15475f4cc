import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

/** How a suite gets its journals; they are closed after it. */
export interface TestJournals {
  /** One journal for all suites on this database: use a tenant of your own. */
  readonly shared: () => Promise<Journal>;
  /** An empty journal. */
  readonly fresh: () => Promise<Journal>;
}

/** Runs a suite against the embedded database and against a PostgreSQL server. */
export function onBothDatabases(title: string, suite: (journals: TestJournals) => void): void {
  for (const kind of ['PGlite', 'PostgreSQL'] as const) {
    describe(`${title}, in ${kind}`, function () {
      this.timeout(60_000);
      const opened: Journal[] = [];
      suite({
        shared: () => sharedJournal(kind),
        fresh: async () => {
          const journal = await openFresh(kind);
          opened.push(journal);
          return journal;
        },
      });
      after(() => Promise.all(opened.map((journal) => journal.close())));
    });
  }
}

type Kind = 'PGlite' | 'PostgreSQL';

let server: Promise<TestPostgres> | undefined;
const sharedJournals = new Map<Kind, Promise<Journal>>();

/** The PostgreSQL server that all suites share; it ends after the last test. */
export function sharedPostgres(): Promise<TestPostgres> {
  server ??= startPostgres();
  return server;
}

function sharedJournal(kind: Kind): Promise<Journal> {
  const journal = sharedJournals.get(kind) ?? openFresh(kind);
  sharedJournals.set(kind, journal);
  return journal;
}

async function openFresh(kind: Kind): Promise<Journal> {
  if (kind === 'PGlite') return openJournal({});
  return openJournal({ databaseUrl: await (await sharedPostgres()).createDatabase() });
}

after(async () => {
  for (const journal of sharedJournals.values()) await (await journal).close();
  await (await server)?.remove();
});
