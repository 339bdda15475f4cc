/** What a process works with outside itself, as its configuration says. */
import { join } from 'node:path';
import type { LinkOptions } from '../activities/approval-links.ts';
import type { Config, Environment } from '../config.ts';
import type { JournalOptions } from '../journal/open.ts';
import { localTemporal, type TemporalTarget, temporalFromEnvironment } from '../temporal.ts';

/** The journal: PostgreSQL where `DATABASE_URL` names one, else the embedded one. */
export const journalOptions = (config: Config): JournalOptions =>
  config.databaseUrl === undefined
    ? { directory: join(config.directory, 'journal') }
    : { databaseUrl: config.databaseUrl };

/** The Temporal that the environment names, else the dev server's place. */
export const temporalTarget = (config: Config, env: Environment): TemporalTarget =>
  config.externalTemporal ? temporalFromEnvironment(env) : localTemporal(config.temporalPort);

/** What makes approval links, as far as the environment says. */
export const linkOptions = ({ linkSecrets, publicUrl }: Config): LinkOptions => ({
  secrets: linkSecrets,
  ...(publicUrl === undefined ? {} : { publicUrl }),
});
