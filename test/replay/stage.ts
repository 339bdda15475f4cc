import { setTimeout as sleep } from 'node:timers/promises';
import type { Json } from '../../src/model/event.ts';
import type { Decision, RunView } from '../../src/model/protocol.ts';
import type { TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

/** What a scenario can do to its run. */
export interface Stage {
  /** Sends so many events, one by one, with a pause after each. */
  send(count: number, pauseMs?: number): Promise<void>;
  /** @param type by default the one type that the flow takes. */
  sendData(data: Json, type?: string): Promise<void>;
  /** Everything sent has its outcome. */
  settled(): Promise<void>;
  /** @param step by default any. */
  parked(step?: string): Promise<void>;
  /** The run's window is open and has taken so many events. */
  collected(count: number): Promise<void>;
  /** The run has taken in so many deliveries and waits. */
  waiting(count: number): Promise<void>;
  decide(decision: Partial<Decision> & Pick<Decision, 'action'>): Promise<void>;
  /** Decides as soon as that is possible. */
  decideNext(decision: Parameters<Stage['decide']>[0]): Promise<void>;
  cancel(): Promise<void>;
  /** Signals with nothing in them. */
  signal(times: number): Promise<void>;
  /** The run's execution has ended. */
  ended(): Promise<void>;
  /** The first delivery comes again after the run has ended. */
  repeatFirst(): Promise<void>;
  /** Acts until the run has continued as new. */
  continued(act: () => Promise<void>): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  accessRequest: 'access.requested',
  dealDigest: 'deal.stage_changed',
  hello: 'user.created',
  invoiceDealUpdate: 'invoice.paid',
  invoiceLedger: 'invoice.paid',
  invoiceReceipt: 'invoice.paid',
  issueNotice: 'issue.opened',
  leadEdits: 'lead.edited',
  orderFulfilment: 'order.placed',
  productIncident: 'incident.declared',
  supportVolume: 'ticket.created',
  welcome: 'user.created',
};

export function stageOf(
  engine: TestEngine,
  { name, flow }: { readonly name: string; readonly flow: string },
): Stage {
  const run = engine.run(flow, name);
  const handle = engine.client.workflow.getHandle(run);
  const runIdNow = () =>
    handle.describe().then(
      ({ runId }) => runId,
      () => undefined,
    );
  let sent = 0;
  const sendData = async (data: Json, type = TYPES[flow] ?? 'thing.changed'): Promise<void> => {
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
    async parked(step) {
      await until(`${name} parked`, async () => {
        const row = await engine.row(run);
        return row?.status === 'parked' && (step === undefined || row.park?.step === step);
      });
    },
    async collected(count) {
      await until(`${count} events collected by ${name}`, async () => {
        const view = await handle.query<RunView>('run').catch(() => undefined);
        return view?.waitingFor?.endsWith(`${count} so far`);
      });
    },
    async waiting(count) {
      await until(`${name} to wait with ${count} deliveries`, async () => {
        const view = await handle.query<RunView>('run').catch(() => undefined);
        return view?.stage === 'waiting' && view.seenThrough === count;
      });
    },
    async decide(decision) {
      const args: [Decision] = [{ reason: 'because', actor: 'tester', ...decision }];
      await handle.executeUpdate('decide', { args });
    },
    async decideNext(decision) {
      const args: [Decision] = [{ reason: 'because', actor: 'tester', ...decision }];
      await until(`a decision of ${name}`, () =>
        handle.executeUpdate('decide', { args }).then(
          () => true,
          () => false,
        ),
      );
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
    async ended() {
      await handle.result();
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
