/** How long event data is kept. The rule, without a clock and without a database. */

export interface RetentionRule {
  /** Tenants, or patterns with `*` for any characters. */
  readonly tenants: readonly string[];
  /** Event types, likewise. */
  readonly types: readonly string[];
  readonly days: number;
}

export interface Retention {
  /** The first that fits an event is its rule. */
  readonly rules: readonly RetentionRule[];
  /** Of events that no rule fits; absent: they are kept. */
  readonly days?: number;
  /** How long an event that has lost its data is still recognised when it comes again. */
  readonly rememberDays: number;
}

export const DAY_MS = 86_400_000;

/** How many days an event's data is kept after it came; undefined: for ever. */
export function daysKept(
  { rules, days }: Retention,
  event: { readonly tenant: string; readonly type: string },
): number | undefined {
  const rule = rules.find(
    ({ tenants, types }) => fits(tenants, event.tenant) && fits(types, event.type),
  );
  return rule === undefined ? days : rule.days;
}

/** The shortest time that anything is kept; undefined when all is kept for ever. */
export function daysKeptLeast({ rules, days }: Retention): number | undefined {
  const all = [...rules.map((rule) => rule.days), ...(days === undefined ? [] : [days])];
  return all.length === 0 ? undefined : Math.min(...all);
}

const fits = (patterns: readonly string[], text: string): boolean =>
  patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`, 's').test(text);
  });
