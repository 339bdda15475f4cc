/** In the place of `worker-versioning.ts` for workers with a build id. */
export const isVersioned: boolean = true;
