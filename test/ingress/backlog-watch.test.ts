import { setTimeout as sleep } from 'node:timers/promises';
import { watch } from '../../src/ingress/backlog-watch.ts';
import { silent } from '../support/engine.ts';
import { until } from '../support/wait.ts';

describe('the watch over the backlog', () => {
  it('asks again soon after a question that hung', async () => {
    let asked = 0;
    const ask = async (): Promise<void> => {
      asked += 1;
      if (asked === 1) await sleep(1_000);
    };
    const watched = watch(ask, { everyMs: 10, failure: 'cannot ask', logger: silent });
    try {
      await until('the third question', () => asked >= 3, 10_000);
    } finally {
      await watched.stop();
    }
  });
});
