/** Which work Temporal gives to this build of the workers, where they have a build id. */
import { type Connection, isGrpcServiceError } from '@temporalio/client';
import type { WorkerDeploymentVersion } from '@temporalio/common';
import type { WorkerMetrics } from './metrics/worker-metrics.ts';
import { type Repetition, repeat } from './repeat.ts';
import type { Logger } from './telemetry.ts';

/**
 * `current`: new runs and those that upgrade. `ramping`: a share of them. `other`: another build is current, and
 * this one has the runs that are pinned to it. `none`: no build is current, so that Temporal gives new runs
 * to no build at all, only to workers without one.
 */
export type Standing = 'current' | 'ramping' | 'other' | 'none';

/** What Temporal says of a deployment, as far as it is needed here. */
export interface Routing {
  readonly currentDeploymentVersion?: { readonly buildId?: string | null } | null;
  readonly rampingDeploymentVersion?: { readonly buildId?: string | null } | null;
}

/** The standing of a build in its deployment; Temporal knows none before its first worker polls. */
export function standingOf(routing: Routing | undefined, buildId: string): Standing {
  const current = routing?.currentDeploymentVersion?.buildId;
  if (current === buildId) return 'current';
  if (routing?.rampingDeploymentVersion?.buildId === buildId) return 'ramping';
  return current ? 'other' : 'none';
}

// Temporal asks a workflow of its own for the answer: seldom enough for a hundred workers.
const EVERY_MS = 30_000;
/** https://grpc.io/docs/guides/status-codes/ */
const NOT_FOUND = 5;

export interface StandingOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly version: WorkerDeploymentVersion;
  /** Told of the standing at each change. */
  readonly tell: WorkerMetrics['standing'];
  readonly logger: Logger;
  /** How often Temporal is asked. @default 30_000 */
  readonly everyMs?: number;
}

/** Watches the build's standing, and tells and logs every change. */
export function watchStanding(options: StandingOptions): Repetition {
  const { version, tell, logger, everyMs = EVERY_MS } = options;
  const { deploymentName: deployment, buildId } = version;
  let known: Standing | undefined;
  const look = async (): Promise<void> => {
    const standing = standingOf(await routingOf(options), buildId);
    if (standing === known) return;
    known = standing;
    const fields = { deployment, buildId, standing };
    tell(fields);
    if (standing !== 'none') logger.info(fields, WORDS[standing]);
    else logger.warn({ code: 'no_current_build', ...fields }, `${WORDS.none}: ${remedy(version)}`);
  };
  return repeat(look, { everyMs, failure: 'cannot read the worker deployment', logger });
}

const WORDS: Readonly<Record<Standing, string>> = {
  current: 'this build is current: it is given new runs',
  ramping: 'this build is ramping: it is given a share of the new runs',
  other: 'another build is current: this one is given the runs that are pinned to it',
  none: 'no build of this deployment is current: Temporal gives its workers no new run',
};

const remedy = ({ deploymentName, buildId }: WorkerDeploymentVersion): string =>
  `temporal worker deployment set-current-version --deployment-name ${deploymentName} --build-id ${buildId}`;

async function routingOf(options: StandingOptions): Promise<Routing | undefined> {
  const { connection, namespace, version } = options;
  try {
    const { workerDeploymentInfo } = await connection.workflowService.describeWorkerDeployment({
      namespace,
      deploymentName: version.deploymentName,
    });
    return workerDeploymentInfo?.routingConfig ?? undefined;
  } catch (error) {
    if (isGrpcServiceError(error) && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}
