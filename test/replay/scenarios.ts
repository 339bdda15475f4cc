/** What is recorded: each scenario is one run of one flow, named by its key. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorClass } from '../../src/model/error.ts';
import type { Json } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Decision, RunView } from '../../src/model/protocol.ts';
import type { TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

export interface Scenario {
  readonly name: string;
  readonly flow: string;
  /** Plays until all that was sent is settled. */
  readonly play: (stage: Stage) => Promise<void>;
  /** How the first calls of `probe.act` fail, one after the other. */
  readonly failures?: readonly ErrorClass[];
  /** Whether executions are to continue as new after few events. */
  readonly grows?: boolean;
}

/** What a scenario can do to its run. */
export interface Stage {
  /** Sends so many events, one by one, with a pause after each. */
  send(count: number, pauseMs?: number): Promise<void>;
  sendData(data: Json): Promise<void>;
  /** Everything sent has its outcome. */
  settled(): Promise<void>;
  parked(): Promise<void>;
  /** The run's window is open and has taken so many events. */
  collected(count: number): Promise<void>;
  decide(decision: Partial<Decision> & Pick<Decision, 'action'>): Promise<void>;
  cancel(): Promise<void>;
  /** Signals with nothing in them. */
  signal(times: number): Promise<void>;
  /** The first delivery comes again after the run has ended. */
  repeatFirst(): Promise<void>;
  /** Acts until the run has continued as new. */
  continued(act: () => Promise<void>): Promise<void>;
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'immediate',
    flow: 'immediate',
    play: async (stage) => {
      await stage.send(3);
      await stage.settled();
    },
  },
  {
    name: 'late-repeat',
    flow: 'immediate',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
      await stage.repeatFirst();
    },
  },
  {
    name: 'debounce-burst',
    flow: 'trailing',
    play: async (stage) => {
      await stage.send(25);
      await stage.settled();
    },
  },
  {
    name: 'debounce-next-window',
    flow: 'trailing',
    play: async (stage) => {
      await stage.send(2);
      await sleep(900);
      await stage.send(2);
      await stage.settled();
    },
  },
  {
    name: 'debounce-flushed',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(2);
      await stage.collected(2);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'leading',
    flow: 'leading',
    play: async (stage) => {
      await stage.send(4, 100);
      await stage.settled();
    },
  },
  {
    name: 'leading-alone',
    flow: 'leading',
    play: async (stage) => {
      await stage.send(1);
      await stage.settled();
    },
  },
  {
    name: 'both',
    flow: 'both',
    play: async (stage) => {
      await stage.send(4, 100);
      await stage.settled();
    },
  },
  {
    name: 'park-retry',
    flow: 'twoSteps',
    failures: ['persistent', 'transient'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await sleep(1_000);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'park-skip',
    flow: 'twoSteps',
    failures: ['persistent'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'skip', input: 'by hand' });
      await stage.settled();
    },
  },
  {
    name: 'park-abort',
    flow: 'twoSteps',
    failures: ['unknown'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'abort' });
      await stage.settled();
    },
  },
  {
    name: 'park-beside-a-running-step',
    flow: 'atOnce',
    failures: ['throttled'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'fatal-body-park',
    flow: 'twoSteps',
    failures: ['fatal'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'cancelled',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(2);
      await stage.collected(2);
      await stage.cancel();
      await stage.settled();
    },
  },
  {
    name: 'continued-by-signals',
    flow: 'patient',
    play: async (stage) => {
      await stage.send(1);
      await stage.collected(1);
      await stage.continued(() => stage.signal(LIMITS.signalsPerRunMax));
      await stage.collected(1);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'continued-in-a-window',
    flow: 'patient',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await stage.collected(1);
      await stage.continued(() => stage.send(10, 300));
      await stage.continued(() => stage.send(10, 300));
      await stage.collected(21);
      await stage.decide({ action: 'flush' });
      await stage.settled();
    },
  },
  {
    name: 'continued-while-parked',
    flow: 'twoSteps',
    grows: true,
    failures: ['persistent'],
    play: async (stage) => {
      await stage.send(1);
      await stage.parked();
      await stage.continued(() => stage.send(8, 300));
      await stage.decide({ action: 'retry' });
      await stage.settled();
    },
  },
  {
    name: 'continued-between-windows',
    flow: 'immediate',
    grows: true,
    play: async (stage) => {
      await stage.continued(() => stage.send(6));
      await stage.settled();
    },
  },
  {
    name: 'continued-after-a-leading-edge',
    flow: 'leading',
    grows: true,
    play: async (stage) => {
      await stage.send(1);
      await sleep(800);
      await stage.continued(() => stage.send(10, 300));
      await stage.settled();
    },
  },
  {
    name: 'acme-deal-digest',
    flow: 'dealDigest',
    play: async (stage) => {
      const deal = { dealId: 'deal-1', amount: 5_000, currency: 'EUR' };
      for (const entered of ['qualified', 'proposal', 'won']) {
        await stage.sendData({ ...deal, stage: entered });
      }
      await stage.settled();
    },
  },
  {
    name: 'acme-welcome',
    flow: 'welcome',
    play: async (stage) => {
      await stage.sendData({ userId: 'user-1', name: 'Ada', email: 'ada@example.com' });
      await stage.settled();
    },
  },
];

const TYPES: Readonly<Record<string, string>> = {
  dealDigest: 'deal.stage_changed',
  welcome: 'user.created',
};

export function stageOf(engine: TestEngine, { name, flow }: Scenario): Stage {
  const run = engine.run(flow, name);
  const handle = engine.client.workflow.getHandle(run);
  const runIdNow = () =>
    handle.describe().then(
      ({ runId }) => runId,
      () => undefined,
    );
  const type = TYPES[flow] ?? 'thing.changed';
  let sent = 0;
  const sendData = async (data: Json): Promise<void> => {
    sent += 1;
    const time = new Date(1_700_000_000_000 + sent).toISOString();
    await engine.send(flow, name, testEvent({ id: `${name}-${sent}`, type, time, data }));
  };
  return {
    sendData,
    async send(count, pauseMs = 0) {
      for (let n = 0; n < count; n += 1) {
        await sendData({ n: sent + 1 });
        if (pauseMs > 0) await sleep(pauseMs);
      }
    },
    async settled() {
      await engine.settled(run, sent);
    },
    async parked() {
      await until(`${name} parked`, async () => (await engine.row(run))?.status === 'parked');
    },
    async collected(count) {
      await until(`${count} events collected by ${name}`, async () => {
        const view = await handle.query<RunView>('run').catch(() => undefined);
        return view?.waitingFor?.endsWith(`${count} so far`);
      });
    },
    async decide(decision) {
      const args: [Decision] = [{ reason: 'because', actor: 'tester', ...decision }];
      await handle.executeUpdate('decide', { args });
    },
    async cancel() {
      await handle.cancel();
    },
    async signal(times) {
      for (let left = times; left > 0; left -= 50) {
        // Workflow tasks in between: one that already continues as new shows a lowered limit.
        await sleep(200);
        const batch = Array.from({ length: Math.min(50, left) }, () =>
          handle.signal('deliver', []),
        );
        await Promise.all(batch);
      }
    },
    async repeatFirst() {
      await handle.result();
      const first = (await engine.journal.deliveriesAfter(run, 0, { count: 1, bytes: 1 }))[0];
      await engine.client.workflow.signalWithStart(flow, {
        workflowId: run,
        taskQueue: 'tidegate',
        args: [{ run, flow, tenant: 'default', key: name }],
        signal: 'deliver',
        signalArgs: [[first]],
      });
    },
    async continued(act) {
      const before = await runIdNow();
      await act();
      await until(`${name} to continue as new`, async () => {
        const now = await runIdNow();
        return now !== undefined && now !== before;
      });
    },
  };
}
