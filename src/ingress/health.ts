import type { RequestHandler } from 'express';
import { messageOf, TidegateError } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';

/** What must answer before this process is ready, by name; each throws when it is down. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<void>>>;

/** A check that hangs counts as down. */
const CHECK_MS_MAX = 3_000;

/** `/healthz`: this process runs. It says nothing of others, so that they do not get it restarted. */
export const healthz: RequestHandler = (_request, response) => {
  response.set('Cache-Control', 'no-store').json({ status: 'ok' });
};

/**
 * `/readyz`: 503 naming what is down, or that the process takes its leave. Why is for the log: nobody has to
 * show a token here.
 */
export const readyz =
  (
    checks: ReadinessChecks,
    logger: Logger,
    isStopping: () => boolean = () => false,
  ): RequestHandler =>
  async (_request, response) => {
    if (isStopping()) throw new TidegateError('not_ready', 'Not ready: this process is stopping.');
    const states = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => ({
        name,
        problem: await problemOf(name, check, logger),
      })),
    );
    const down = states.flatMap(({ name, problem }) =>
      problem === undefined ? [] : [{ path: name, message: problem }],
    );
    if (down.length === 0) {
      const up = Object.fromEntries(states.map(({ name }) => [name, 'up']));
      response.set('Cache-Control', 'no-store').json({ status: 'ready', checks: up });
      return;
    }
    throw new TidegateError(
      'not_ready',
      `Not ready: ${down.map(({ path }) => path).join(' and ')} cannot be reached.`,
      { details: { errors: down } },
    );
  };

async function problemOf(
  name: string,
  check: () => Promise<void>,
  logger: Logger,
): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('it does not answer in time'), CHECK_MS_MAX);
  });
  const checked = check().then(
    () => undefined,
    (error: unknown) => {
      logger.warn({ check: name, reason: messageOf(error) }, 'a readiness check failed');
      return 'it cannot be reached';
    },
  );
  return Promise.race([checked, late]).finally(() => clearTimeout(timer));
}
