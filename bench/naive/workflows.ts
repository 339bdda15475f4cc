import { condition, defineSignal, setHandler } from '@temporalio/workflow';

export { naiveOrder } from './orders.ts';

export interface DealChange {
  readonly id: string;
  readonly dealId: string;
}

export const changed = defineSignal<[DealChange]>('changed');

/** The debounce that one writes by hand: wait for quiet, start again at every signal. */
export async function naiveDigest(): Promise<number> {
  const seen = new Set<string>();
  let isFresh = true;
  setHandler(changed, ({ id }) => {
    seen.add(id);
    isFresh = true;
  });
  while (isFresh) {
    isFresh = false;
    await condition(() => isFresh, '2s');
  }
  return seen.size;
}
