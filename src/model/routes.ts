import { TASK_QUEUE } from './protocol.ts';

/** Where the workflows of runs are, and which workers execute them. */
export interface Place {
  readonly taskQueue: string;
  /** A Temporal namespace. @default the one that the process is configured for */
  readonly namespace?: string;
}

/** Where a tenant's runs go. */
export interface Routes {
  /** For tenants that no rule names. */
  readonly default: Place;
  /** The first that names a tenant holds. */
  readonly rules: readonly RouteRule[];
}

export interface RouteRule extends Place {
  /** Tenants, in which `*` stands for any characters: `acme-eu`, `eu-*`. */
  readonly tenants: readonly string[];
}

/** Without routes all runs are in one place. */
export const ONE_PLACE: Routes = { default: { taskQueue: TASK_QUEUE }, rules: [] };

/** Where runs of a tenant go that open now. */
export function placeOf({ rules, default: others }: Routes, tenant: string): Place {
  const rule = rules.find(({ tenants }) => tenants.some((pattern) => matches(pattern, tenant)));
  const { taskQueue, namespace } = rule ?? others;
  return { taskQueue, ...(namespace !== undefined && { namespace }) };
}

/** The namespaces that routes name, each once. */
export const namespacesOf = ({ rules, default: others }: Routes): readonly string[] => [
  ...new Set([others, ...rules].flatMap(({ namespace }) => namespace ?? [])),
];

/** In time proportional to both lengths, whatever the pattern. */
function matches(pattern: string, tenant: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return pattern === tenant;
  if (!tenant.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = tenant.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return tenant.endsWith(last) && tenant.length - last.length >= at;
}
