/**
 * Whether the workers of this bundle have a build id. `bundleFlows` puts the module beside this one in
 * its place where they do: Temporal refuses a flow's versioning from a worker that has none, and nothing
 * in the sandbox tells for certain, since a replay shows the worker that was there before.
 */
export const isVersioned: boolean = false;
