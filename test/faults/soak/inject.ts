/** Does to a system what a plan says, and undoes it. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { execute } from '../../support/postgres.ts';
import { until } from '../../support/wait.ts';
import type { Restartable } from '../processes.ts';
import type { System, WeakPoints } from '../system.ts';
import type { Fault, NodeName, PlannedFault, Track } from './plan.ts';

export interface Injected {
  readonly system: System;
  /** Ends all waiting; what has been done is undone then. */
  readonly signal: AbortSignal;
  /** How often the ingress has refused a request because of its backlog. */
  readonly refusedByBacklog: () => number;
}

type Undo = () => Promise<void> | void;

/** Ingress and worker of one process are one and the same. */
export function nodesOf({ processes, second }: System): ReadonlyMap<NodeName, Restartable> {
  const nodes = new Map<NodeName, Restartable>([
    ['ingress-1', processes.ingress],
    ['worker-1', processes.worker],
  ]);
  if (second !== undefined) nodes.set('ingress-2', second.ingress).set('worker-2', second.worker);
  return nodes;
}

const TRACKS: readonly Track[] = ['nodes', 'backends', 'ways'];

/** Resolves when all faults are over. A server that is slow to start delays what follows on its track. */
export async function inject(faults: readonly PlannedFault[], into: Injected): Promise<void> {
  const startedAt = performance.now();
  const injectTrack = async (wanted: Track): Promise<void> => {
    for (const planned of faults.filter(({ track }) => track === wanted)) {
      const aheadMs = startedAt + planned.atMs - performance.now();
      await sleep(Math.max(0, aheadMs), undefined, { signal: into.signal });
      await injectOne(planned, into);
    }
  };
  await Promise.all(TRACKS.map(injectTrack));
}

async function injectOne({ forMs, fault }: PlannedFault, into: Injected): Promise<void> {
  const { signal } = into;
  const undo = await begin(fault, into);
  try {
    if (fault.kind === 'backlog') await untilRefused(forMs, into);
    else await sleep(forMs, undefined, { signal });
  } finally {
    await undo();
  }
}

async function begin(fault: Fault, { system }: Injected): Promise<Undo> {
  const { temporal } = system.processes;
  switch (fault.kind) {
    case 'kill':
      if (fault.on === 'postgres') return crashPostgres(system);
      return killed(fault.on === 'temporal' ? temporal : nodeOf(system, fault.on));
    case 'pause':
      return paused(fault.on === 'temporal' ? temporal : nodeOf(system, fault.on));
    case 'backlog':
      return paused(temporal);
    case 'pauseConnection':
      return pauseConnection(system, weakPoints(system, fault.on));
    case 'cut':
      weakPoints(system, fault.on)[fault.to].cut();
      return () => {};
    case 'refused':
    case 'hung':
    case 'unanswered':
    case 'slow': {
      const proxy = weakPoints(system, fault.on)[fault.to];
      proxy.change(fault.kind === 'slow' ? fault : { kind: fault.kind });
      return () => proxy.change({ kind: 'fair' });
    }
    case 'clock':
      weakPoints(system, fault.on).skew(fault.stepMs);
      return () => {};
    default:
      return fault satisfies never;
  }
}

async function killed(process: Restartable): Promise<Undo> {
  await process.kill();
  return () => process.start();
}

function paused(process: Restartable): Undo {
  process.pause();
  return () => process.resume();
}

/** As a power cut: the server and the processes of its connections end at once, so that nobody can answer any more. */
async function crashPostgres({ postgres, databaseUrl }: System): Promise<Undo> {
  const [row] = await execute(databaseUrl, "select pg_read_file('postmaster.pid') as file");
  const server = Number.parseInt(String(row?.file), 10);
  const connections = await childrenOf(server);
  for (const pid of [server, ...connections]) signalTo(pid, 'SIGKILL');
  await postgres.kill();
  return () => postgres.start();
}

async function childrenOf(parent: number): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
}

async function pauseConnection({ databaseUrl }: System, { postgres }: WeakPoints): Promise<Undo> {
  const ports = postgres.localPorts();
  if (ports.length === 0) return () => {};
  const [row] = await execute(
    databaseUrl,
    `select pid from pg_stat_activity where client_port in (${ports.join(', ')})
     order by state = 'idle', xact_start limit 1`,
  );
  const pid = Number(row?.pid ?? 0);
  if (pid === 0) return () => {};
  // A stopped process would outlive its server.
  const goOn = (): void => signalTo(pid, 'SIGCONT');
  process.once('exit', goOn);
  signalTo(pid, 'SIGSTOP');
  return () => {
    process.off('exit', goOn);
    goOn();
  };
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Until the door has refused more, or for as long as the plan says. */
async function untilRefused(forMs: number, { refusedByBacklog, signal }: Injected): Promise<void> {
  const before = refusedByBacklog();
  const isRefused = (): boolean => signal.aborted || refusedByBacklog() > before;
  await until('a full backlog', isRefused, forMs).catch(() => {});
}

const nodeOf = (system: System, name: NodeName): Restartable => given(nodesOf(system).get(name));
const weakPoints = (system: System, name: NodeName): WeakPoints =>
  given(system.weak.get(nodeOf(system, name).name));

function given<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('the plan names a process that is not there');
  return value;
}
