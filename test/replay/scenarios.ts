/** What is recorded: each scenario is one run of one flow, named by its key. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorClass } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Stage } from './stage.ts';

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
