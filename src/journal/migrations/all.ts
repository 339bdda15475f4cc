import type { Migration } from 'kysely';
import { initial } from './0001-initial.ts';

/** Every migration by its name, in the order of their names. A released one is never changed. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
};
