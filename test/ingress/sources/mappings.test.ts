import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { z } from 'zod';
import type { TestIngress } from '../support.ts';
import {
  deliver,
  EVENTS,
  fixture,
  fixtureNames,
  fixtureText,
  goldenOf,
  journalled,
  send,
  startVendorIngress,
  VENDORS,
} from './deliveries.ts';

/** What golden files have of an event: what the mapping says, not what every envelope has. */
const ENVELOPE = ['specversion', 'tenantid', 'schemaversion', 'correlationid', 'hops', 'source'];

for (const vendor of VENDORS) {
  describe(`The ${vendor} source`, () => {
    let ingress: TestIngress;
    before(async () => {
      ingress = await startVendorIngress();
    });
    after(() => ingress.stop());

    const golden = goldenOf(vendor);
    const schemas: Readonly<Record<string, z.ZodType>> = EVENTS[vendor];
    const rows = () => journalled(ingress);
    const sendNew = async (delivery: ReturnType<typeof fixture>) => {
      const known = new Set((await rows()).map(({ event }) => event.id));
      const { status, body } = await send(ingress, delivery);
      const fresh = (await rows()).filter(({ event }) => !known.has(event.id));
      const filtered = (body.results ?? [])
        .filter((result) => result.status === 'filtered')
        .map(({ reason }) => reason);
      return { status, fresh, filtered };
    };

    for (const name of fixtureNames(vendor)) {
      it(`makes of ${name} what its golden file says, once`, async () => {
        const first = await sendNew(fixture(vendor, name));
        const { status, fresh, filtered } = first;
        const events = fresh.map(({ event }) =>
          Object.fromEntries(Object.entries(event).filter(([key]) => !ENVELOPE.includes(key))),
        );
        const seen = { status, ...(filtered.length > 0 ? { filtered } : {}), events };
        assert.deepEqual(seen, golden[name]);
        for (const { event } of fresh) {
          assert.equal(event.source, vendor);
          const exact = z.strictObject((schemas[event.type] as z.ZodObject).shape);
          assert.deepEqual(exact.parse(event.data), event.data, 'nothing that no contract names');
        }
        const again = await sendNew(fixture(vendor, name));
        assert.deepEqual([again.status, again.fresh], [status, []]);
        const ids = new Set(fresh.map(({ event }) => event.id));
        const repeated = (await rows()).filter(({ event }) => ids.has(event.id));
        assert.deepEqual(
          repeated.map(({ duplicates }) => duplicates),
          repeated.map(() => 1),
        );
        const letters = await ingress.journal.listDeadLetters({ limit: 10 });
        assert.deepEqual(letters.rows, []);
      });
    }

    it('has a delivery for each of its events', () => {
      const made = Object.values(golden).flatMap((each) =>
        (each as { events: { type: string }[] }).events.map(({ type }) => type),
      );
      assert.deepEqual([...new Set(made)].sort(), Object.keys(schemas).sort());
    });

    it('takes what is sent again with other headers and other white space for the same', async () => {
      const names = fixtureNames(vendor).filter(
        (name) => !name.startsWith('command.') && isKnownByContent(vendor, name),
      );
      assert.ok(vendor === 'zendesk' || names.length > 1);
      for (const name of names) {
        const compact = JSON.stringify(JSON.parse(quoteLong(fixtureText(vendor, name))));
        const delivery = deliver(vendor, name, unquoteLong(compact));
        const headers = {
          ...delivery.headers,
          'x-shopify-webhook-id': 'another',
          'x-zendesk-webhook-invocation-id': 'another',
          'x-atlassian-webhook-identifier': 'another',
          'x-slack-retry-num': '1',
        };
        const { fresh } = await sendNew({ ...delivery, headers });
        assert.deepEqual(fresh, [], name);
      }
    });
  });
}

/** Not by the hash of the body, as Slack's forms, Zendesk's triggers and Shopify's products are. */
const isKnownByContent = (vendor: string, name: string): boolean =>
  !(vendor === 'slack' && name.startsWith('form.')) &&
  !(vendor === 'zendesk' && name.startsWith('trigger.')) &&
  name !== 'products-update';

/** Keeps ids of 17 digits and more as they are while JSON.parse goes over them. */
const quoteLong = (json: string): string => json.replace(/(?<=: )\d{16,}/g, '"long:$&"');
const unquoteLong = (json: string): string => json.replace(/"long:(\d+)"/g, '$1');
