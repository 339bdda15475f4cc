import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { eventTime } from 'tidegate/ingress';
import { canonicalTime } from '../../../src/ingress/time.ts';

describe('eventTime', () => {
  it('makes RFC 3339 of anything that is sent, or says that it is no time', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.double(), fc.integer(), fc.string()), (moment) => {
        const time = eventTime(moment);
        assert.ok(time === undefined || canonicalTime(time) === time);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads a moment of any unit as the same moment', () => {
    const moments = fc.integer({ min: 1e11, max: 4_102_444_800_000 });
    fc.assert(
      fc.property(moments, (ms) => {
        const seconds = Math.floor(ms / 1_000);
        assert.equal(eventTime(ms), new Date(ms).toISOString());
        assert.equal(eventTime(seconds), new Date(seconds * 1_000).toISOString());
        assert.equal(eventTime(new Date(ms).toISOString()), new Date(ms).toISOString());
      }),
    );
  });

  const readings: readonly (readonly [what: string, moment: unknown, time: string | undefined])[] =
    [
      ['Unix seconds (Stripe, Intercom, SendGrid)', 1_719_209_506, '2024-06-24T06:11:46.000Z'],
      ['milliseconds (Jira, HubSpot, Salesforce)', 1_719_209_506_817, '2024-06-24T06:11:46.817Z'],
      ['Slack’s ts, to the microsecond', '1719209506.817929', '2024-06-24T06:11:46.817929Z'],
      ['seconds as text', '1719209506', '2024-06-24T06:11:46.000Z'],
      ['milliseconds as text', '1719209506817', '2024-06-24T06:11:46.817Z'],
      ['nanoseconds (Zendesk)', '2026-11-20T14:32:26.784534301Z', '2026-11-20T14:32:26.784534301Z'],
      [
        'an offset without a colon (Jira)',
        '2015-01-29T09:29:41.000-0800',
        '2015-01-29T09:29:41.000-08:00',
      ],
      ['a space and UTC (GitLab)', '2016-08-12 15:23:28 UTC', '2016-08-12T15:23:28Z'],
      ['an offset (Shopify)', '2026-11-20T19:00:00-05:00', '2026-11-20T19:00:00-05:00'],
      ['no zone', '2026-11-20T19:00:00', undefined],
      ['a date', '2026-11-20', undefined],
      ['a day that there is not', '2026-02-30T00:00:00Z', undefined],
      ['an id that is a number', '820982911946154508', undefined],
      ['a number beyond every date', 1e20, undefined],
      ['nothing', null, undefined],
    ];
  for (const [what, moment, time] of readings) {
    it(`reads ${what}`, () => assert.equal(eventTime(moment), time));
  }
});
