/** `contracts.lock.json`: the contracts of a project as they were released. */
import { z } from 'zod';
import type { Contract, EventCatalogue } from '../model/contract.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import { canonicalText } from './schema-shapes.ts';

export const LOCK_FILE = 'contracts.lock.json';

const lockSchema = z.object({
  lockVersion: z.literal(1),
  contracts: z.record(
    z.string(),
    z.object({
      version: z.int().min(1),
      /** Of events whose sender names none. */
      unversioned: z.int().min(1),
      versions: z.record(
        z.string().regex(/^[1-9]\d*$/),
        z.object({
          /** Null for an old version without a schema of its own. */
          schema: z.record(z.string(), z.unknown()).nullable(),
          /** When it ends, for a deprecated version. */
          sunset: z.iso.datetime().optional(),
        }),
      ),
    }),
  ),
});

export type ContractsLock = z.infer<typeof lockSchema>;

/** What a project's contracts are now. */
export const lockOf = ({
  contracts,
}: EventCatalogue<Readonly<Record<string, Contract>>>): ContractsLock => ({
  lockVersion: 1,
  contracts: Object.fromEntries(
    Object.values(contracts).map(({ type, version, unversioned, versions }) => [
      type,
      {
        version,
        unversioned,
        versions: Object.fromEntries(
          versions.map(({ version: each, schema, deprecation }) => [
            each,
            { schema: schema ?? null, ...(deprecation && { sunset: deprecation.sunset }) },
          ]),
        ),
      },
    ]),
  ),
});

/** As it stands in the file: keys in order, so that a difference in git is a difference in contracts. */
export const lockText = (lock: ContractsLock): string =>
  `${JSON.stringify(JSON.parse(canonicalText(lock)), undefined, 2)}\n`;

/**
 * A lock from its file's text.
 *
 * @param place where the text is from, for the message.
 * @throws TidegateError `contracts_lock_invalid`
 */
export function parseLock(text: string, place: string): ContractsLock {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const reason = issue ? `${issue.path.join('.')}: ${issue.message}` : messageOf(error);
    throw new TidegateError(
      'contracts_lock_invalid',
      `${place} is not what tidegate contracts release writes: ${reason}. Restore it from git, or write it again.`,
      { cause: error },
    );
  }
}
