/** What a process works with outside itself, as its configuration says. */
import { join } from 'node:path';
import type { LinkOptions } from '../activities/approval-links.ts';
import type { Config, Environment } from '../config.ts';
import { dataConverter, journalSealing } from '../encryption/index.ts';
import { readKeyring } from '../encryption/keyring.ts';
import { decodePayloads } from '../encryption/payload-codec.ts';
import type { IngressOptions } from '../ingress/main.ts';
import { readRetention } from '../ingress/read-retention.ts';
import type { JournalOptions } from '../journal/open.ts';
import { localTemporal, type TemporalTarget, temporalFromEnvironment } from '../temporal.ts';

/** The journal: PostgreSQL where `DATABASE_URL` names one, else the embedded one. */
export const journalOptions = (config: Config, env: Environment): JournalOptions => ({
  sealing: journalSealing(readKeyring(env)),
  ...(config.databaseUrl === undefined
    ? { directory: join(config.directory, 'journal') }
    : { databaseUrl: config.databaseUrl }),
});

/** The Temporal that the environment names, else the dev server's place. */
export const temporalTarget = (config: Config, env: Environment): TemporalTarget => ({
  ...(config.externalTemporal ? temporalFromEnvironment(env) : localTemporal(config.temporalPort)),
  dataConverter: dataConverter(readKeyring(env)),
});

/** The codec server's part of an ingress; nothing without keys. */
export function decoding(env: Environment): Pick<IngressOptions, 'decode'> {
  const keyring = readKeyring(env);
  if (keyring.current === undefined) return {};
  return { decode: (payloads, tenant) => decodePayloads(keyring, payloads, tenant) };
}

/** How long event data is kept; for ever where no file says so. */
export const retention = (
  { retentionFile }: Config,
  directory: string,
): Pick<IngressOptions, 'retention'> =>
  retentionFile === undefined ? {} : { retention: readRetention(directory, retentionFile) };

/** What makes approval links, as far as the environment says. */
export const linkOptions = ({ linkSecrets, publicUrl }: Config): LinkOptions => ({
  secrets: linkSecrets,
  ...(publicUrl === undefined ? {} : { publicUrl }),
});
