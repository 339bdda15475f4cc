import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { freePort } from '../support/free-port.ts';

describe('A connection to Temporal that is closed', () => {
  // An error that is thrown in a timer fails the test by itself.
  it('ends a call that waits to be tried again, and throws nothing where nobody can catch it', async () => {
    const target = localTemporal(await freePort());
    const ends = [0, 20, 40, 60, 80, 100, 120, 140, 160].map(async (ms) => {
      const connection = lazyConnection(target);
      const call = connection.workflowService.describeNamespace({ namespace: 'default' }).then(
        () => 'answered',
        () => 'refused',
      );
      await sleep(ms);
      await connection.close();
      return call;
    });
    assert.deepEqual(new Set(await Promise.all(ends)), new Set(['refused']));
    // Longer than the SDK waits before it tries again.
    await sleep(500);
  });
});
