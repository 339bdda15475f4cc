import type { FlowRegistry } from '../model/flow-registry.ts';
import type { Handler } from './handler.ts';

/** `GET /flows`: what is loaded and what each flow takes. */
export const listFlows =
  ({ flows }: FlowRegistry): Handler =>
  () => ({
    rows: flows.map(({ name, head: { where, key, ...shown } }) => ({
      name,
      ...shown,
      filtered: where !== undefined,
      keyed: key !== undefined,
    })),
  });
