import { isDataError } from './database-error.ts';

/** Commits calls as one group; when its values are refused, halves it until the refused call stands alone. */
export async function inHalves<Call>(
  group: readonly Call[],
  how: {
    readonly commit: (calls: readonly Call[]) => Promise<void>;
    readonly refuse: (calls: readonly Call[], error: unknown) => void;
  },
): Promise<void> {
  try {
    await how.commit(group);
  } catch (error) {
    if (!isDataError(error) || group.length === 1) return how.refuse(group, error);
    const middle = Math.ceil(group.length / 2);
    await inHalves(group.slice(0, middle), how);
    await inHalves(group.slice(middle), how);
  }
}
