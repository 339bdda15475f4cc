import type { z } from 'zod';
import type { Contract, EventCatalogue } from '../model/contract.ts';
import { TidegateError } from '../model/error.ts';
import { makeContract } from './contract.ts';
import {
  type ContractsOf,
  type DefinitionRules,
  type EventDefinitions,
  isSchema,
  type VersionedDefinition,
} from './definition.ts';
import { checkDefinition } from './definition-rules.ts';

/**
 * What can happen: each event type with the schema of its data. A bare schema is version 1; from
 * version 2 on, `{ version, data, subject?, upcast?, versions?, deprecated?, example? }`. Fields that a schema does not name are kept,
 * at every depth, unless the schema is a `z.strictObject`.
 *
 * A schema must not transform its data (`transform`, `coerce`, `default`, `catch`, `trim` …) and its
 * data must be JSON: the compiler refuses what it can see, `defineEvents` the rest.
 *
 * @throws TidegateError `contract_invalid` naming every definition that breaks a rule, and the rule.
 * @example
 * ```ts
 * export const events = defineEvents({
 *   'user.created': z.object({ userId: z.string(), name: z.string() }),
 *   'deal.stage_changed': {
 *     version: 2,
 *     data: z.object({ dealId: z.string(), stage: z.string(), currency: z.string() }),
 *     subject: (data) => data.dealId,
 *     upcast: { 1: (old) => ({ ...old, currency: 'EUR' }) },
 *   },
 * });
 * ```
 */
export function defineEvents<const Schemas extends Readonly<Record<string, z.ZodType>>>(
  definitions: EventDefinitions<Schemas> & DefinitionRules<NoInfer<Schemas>>,
): EventCatalogue<ContractsOf<Schemas>> {
  const contracts: [string, Contract][] = [];
  const problems: string[] = [];
  for (const [type, definition] of Object.entries<unknown>(definitions)) {
    const versioned = toVersioned(definition);
    const found = checkDefinition(type, versioned);
    if (found.length > 0 || versioned === undefined) problems.push(...found);
    else contracts.push([type, makeContract(type, versioned)]);
  }
  problems.push(...contracts.flatMap(([type, contract]) => exampleProblems(type, contract)));
  if (problems.length > 0) {
    throw new TidegateError('contract_invalid', `events.ts: ${problems.join('; ')}`, {
      details: { problems },
    });
  }
  // The types of the entries were checked one by one; Object.fromEntries forgets which is which.
  return { contracts: Object.fromEntries(contracts) as unknown as ContractsOf<Schemas> };
}

function exampleProblems(type: string, { example, version, check }: Contract): readonly string[] {
  if (example === undefined) return [];
  const verdict = check(example, version);
  return verdict.ok
    ? []
    : verdict.problems.map(
        ({ path, message }) => `"${type}" has an example that it refuses: ${path} ${message}`,
      );
}

function toVersioned(definition: unknown): VersionedDefinition<z.ZodType> | undefined {
  if (isSchema(definition)) return { version: 1, data: definition };
  if (typeof definition !== 'object' || definition === null) return undefined;
  return isSchema((definition as { data?: unknown }).data)
    ? (definition as VersionedDefinition<z.ZodType>)
    : undefined;
}
