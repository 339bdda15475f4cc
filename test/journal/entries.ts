import type { AppendEntry, DeliveryTarget } from '../../src/journal/deliveries.ts';
import type { TidegateEvent } from '../../src/model/event.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';

let count = 0;
/** A name that no other test uses: suites share journals. */
export const unique = (name: string): string => {
  count += 1;
  return `${name}-${count}`;
};

export function event(overrides: Partial<TidegateEvent> = {}): TidegateEvent {
  const id = overrides.id ?? unique('event');
  return {
    specversion: '1.0',
    id,
    source: 'crm',
    type: 'deal.changed',
    time: '2026-02-03T04:05:06.789Z',
    data: { amount: 1 },
    tenantid: 'acme',
    schemaversion: 1,
    correlationid: id,
    origin: 'system',
    hops: 0,
    ...overrides,
  };
}

export const target = (flow: string, key: string, tenant = 'acme'): DeliveryTarget => ({
  flow,
  key,
  run: makeRunId({ flow, tenant, key }),
});

export const accepted = (of: TidegateEvent, ...deliveries: DeliveryTarget[]): AppendEntry => ({
  event: of,
  status: 'accepted',
  deliveries,
});

/** A run that no other test uses, and what appends events to it. */
export function freshRun(flow = 'digest'): {
  readonly run: RunId;
  readonly entry: (overrides?: Partial<TidegateEvent>) => AppendEntry;
} {
  const to = target(flow, unique('key'));
  return { run: to.run, entry: (overrides) => accepted(event(overrides), to) };
}

/** The delivery numbers that appends of one run were given. */
export const numbersOf = (
  results: readonly { readonly deliveries: readonly { readonly number: number }[] }[],
): readonly number[] => results.flatMap(({ deliveries }) => deliveries.map(({ number }) => number));

export const oneTo = (last: number): readonly number[] =>
  Array.from({ length: last }, (_, index) => index + 1);

export const ALL_LANES: readonly number[] = Array.from({ length: 64 }, (_, lane) => lane);
