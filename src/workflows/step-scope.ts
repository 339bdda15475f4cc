/** Where in the body a step stands: branches and sagas number their steps apart from each other. */
import { AsyncLocalStorage } from '@temporalio/workflow';

const storage = new AsyncLocalStorage<string>();

/** What comes before the ids of the steps that the calling code takes: `''`, or `fanOut#1/crm/`. */
export const stepPrefix = (): string => storage.getStore() ?? '';

/** Runs work whose steps have ids below this one, whatever runs beside it. */
export const below = <Result>(id: string, work: () => Promise<Result>): Promise<Result> =>
  storage.run(`${id}/`, work);
