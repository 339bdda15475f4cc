import { formatDuration } from '../model/duration.ts';
import { DEFAULT_FUSE, type FlowHead, type FlowRegistry } from '../model/flow-registry.ts';
import type { Handler } from './handler.ts';

/** `GET /flows`: what is loaded and what each flow takes. */
export const listFlows =
  ({ flows }: FlowRegistry): Handler =>
  () => ({
    rows: flows.map(({ name, head: { where, key, fuse, throttle, concurrency, ...shown } }) => ({
      name,
      ...shown,
      filtered: where !== undefined,
      keyed: key !== undefined,
      fuse: fuseOf(fuse),
      ...(throttle && {
        throttle: {
          limit: throttle.limit,
          per: formatDuration(throttle.perMs),
          keyed: throttle.by !== undefined,
        },
      }),
      ...(concurrency && {
        concurrency: { limit: concurrency.limit, keyed: concurrency.by !== undefined },
      }),
    })),
  });

function fuseOf(fuse: FlowHead['fuse'] = DEFAULT_FUSE) {
  return fuse && { limit: fuse.limit, per: formatDuration(fuse.perMs) };
}
