import assert from 'node:assert/strict';
import { flowsFor } from 'tidegate/flow';
import type { TidegateError } from '../../src/model/error.ts';
import { type Standing, standingOf } from '../../src/worker-deployment.ts';
import type { Events } from './fixtures/events.ts';

const flow = flowsFor<Events>();

describe('the option versioning of a flow', () => {
  const head = (options: { versioning?: 'pinned' | 'auto-upgrade' }) =>
    flow({ on: 'thing.changed', run: async () => null, ...options }).head;

  it('is kept in the head', () => {
    assert.equal(head({ versioning: 'auto-upgrade' }).versioning, 'auto-upgrade');
    assert.equal(head({ versioning: 'pinned' }).versioning, 'pinned');
    assert.deepEqual(Object.keys(head({})), ['on']);
  });

  it('is refused with what it can be', () => {
    for (const versioning of ['PINNED', 'latest', '', null, true]) {
      assert.throws(
        () => head({ versioning: versioning as 'pinned' }),
        (error: TidegateError) =>
          error.code === 'flow_invalid' &&
          error.message.startsWith(
            'versioning of the flow on thing.changed must be one of pinned, auto-upgrade, got ',
          ),
        String(versioning),
      );
    }
  });
});

describe('the standing of a build', () => {
  const of = (current: string | undefined, ramping?: string): Standing =>
    standingOf(
      {
        currentDeploymentVersion: current === undefined ? null : { buildId: current },
        rampingDeploymentVersion: ramping === undefined ? null : { buildId: ramping },
      },
      'b2',
    );

  it('follows from which build is current and which is ramping', () => {
    assert.equal(of('b2'), 'current');
    assert.equal(of('b2', 'b3'), 'current');
    assert.equal(of('b1', 'b2'), 'ramping');
    assert.equal(of(undefined, 'b2'), 'ramping');
    assert.equal(of('b1'), 'other');
    assert.equal(of('b1', 'b3'), 'other');
    assert.equal(of(undefined), 'none');
    assert.equal(of(undefined, 'b3'), 'none');
    assert.equal(standingOf(undefined, 'b2'), 'none');
  });
});
