import { parseRunId, type RunId } from '../model/run.ts';

/** The calls under way, each in one of the places that a dispatcher has for them. */
export interface CallsInFlight {
  begin(run: RunId): void;
  end(run: RunId): void;
  /** How many there are. */
  all(): number;
  /** Whether the tenant of this run has less than its share of so many places. */
  hasShare(run: RunId, places: number): boolean;
}

/**
 * What a tenant may have of the places that others leave it, at least one: alone 56 of 64, the next one then 7
 * of the other 8. So while all calls of one tenant hang, or of two, there is a place for whoever comes.
 */
const SHARE_MAX = 7 / 8;

/** Counts calls by tenant. */
export function callsInFlight(): CallsInFlight {
  const ofTenants = new Map<string, number>();
  let all = 0;
  const ofTenant = (tenant: string): number => ofTenants.get(tenant) ?? 0;
  return {
    begin(run) {
      const tenant = tenantOf(run);
      ofTenants.set(tenant, ofTenant(tenant) + 1);
      all += 1;
    },
    end(run) {
      const tenant = tenantOf(run);
      const left = ofTenant(tenant) - 1;
      if (left > 0) ofTenants.set(tenant, left);
      else ofTenants.delete(tenant);
      all -= 1;
    },
    all: () => all,
    hasShare(run, places) {
      const own = ofTenant(tenantOf(run));
      const leftByOthers = places - (all - own);
      return own < Math.max(1, Math.floor(leftByOthers * SHARE_MAX));
    },
  };
}

/** '' for what is not the id of a run. */
export const tenantOf = (run: RunId): string => parseRunId(run)?.tenant ?? '';
