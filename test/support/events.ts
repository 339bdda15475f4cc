import type { TidegateEvent } from '../../src/model/event.ts';

/** An event for tests: only what a test cares about has to be said. */
export function testEvent<Data>(
  fields: Partial<TidegateEvent<string, Data>> & { readonly id: string; readonly data: Data },
): TidegateEvent<string, Data> {
  return {
    specversion: '1.0',
    source: 'test',
    type: 'thing.changed',
    time: '2026-01-01T00:00:00.000Z',
    tenantid: 'default',
    schemaversion: 1,
    correlationid: fields.id,
    origin: 'system',
    hops: 0,
    ...fields,
  };
}
