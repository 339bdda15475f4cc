/** What each source knows a delivery by, where it is not an id of the vendor's in the signed body. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'mocha';
import { rejections, type TestIngress } from '../support.ts';
import {
  deliver,
  fixture,
  fixtureText,
  journalled,
  send,
  startVendorIngress,
  type Vendor,
} from './deliveries.ts';

type Body = Record<string, unknown>;

describe('What a ready-made source knows a delivery by', () => {
  let ingress: TestIngress;
  let seen = 0;
  before(async () => {
    ingress = await startVendorIngress();
  });
  after(() => ingress.stop());
  afterEach(() => {
    seen = 0;
  });

  /** Sends a fixture with some of it changed; resolves to the types of the events that are new. */
  const change = async (vendor: Vendor, name: string, make: (body: Body) => unknown) => {
    const known = new Set((await journalled(ingress)).map(({ event }) => event.id));
    seen = (await rejections(ingress)).length;
    const body = make(JSON.parse(fixtureText(vendor, name)) as Body);
    const { status } = await send(ingress, deliver(vendor, name, JSON.stringify(body)));
    assert.ok(status === 200 || status === 202, String(status));
    const rows = (await journalled(ingress)).filter(({ event }) => !known.has(event.id));
    return rows.map(({ event }) => event.type).sort();
  };
  const refusedNow = async () => {
    const letters = await rejections(ingress);
    assert.equal(letters.length, seen + 1);
    return letters.find(({ code }) => code === 'source_mapping_failed')?.message ?? '';
  };

  it('is, for HubSpot, not the count of attempts, and not the eventId alone', async () => {
    const first = (change: object) => (body: Body) => [
      { ...(body as unknown as Body[])[0], ...change },
    ];
    assert.deepEqual(await change('hubspot', 'mixed', first({})), ['contact.created']);
    for (const attemptNumber of [1, 2, undefined]) {
      assert.deepEqual(await change('hubspot', 'mixed', first({ attemptNumber })), []);
    }
    for (const other of [{ objectId: 2 }, { occurredAt: 1763708400002 }, { portalId: 1 }]) {
      assert.deepEqual(await change('hubspot', 'mixed', first(other)), ['contact.created']);
    }
  });

  it('tells two notifications of one request apart, and finds one that is there twice', async () => {
    const twice = (body: Body) => {
      const [first] = body as unknown as Body[];
      const of = (objectId: number) => ({ ...first, objectId });
      return [of(8001), of(8002), of(8001)];
    };
    assert.deepEqual(await change('hubspot', 'mixed', twice), [
      'contact.created',
      'contact.created',
    ]);
  });

  it('lets a HubSpot notification that cannot be mapped hold up no other', async () => {
    const types = await change('hubspot', 'mixed', (body) => [
      { ...(body as unknown as Body[])[0], objectId: 9001 },
      { subscriptionType: 'contact.creation' },
      null,
      { ...(body as unknown as Body[])[0], objectId: 9002 },
    ]);
    assert.deepEqual(types, ['contact.created', 'contact.created']);
    const letters = await rejections(ingress);
    assert.deepEqual(
      letters.map(({ body }) => body).sort(),
      ['null', '{"subscriptionType":"contact.creation"}'].sort(),
    );
    assert.ok(letters.every(({ code }) => code === 'source_mapping_failed'));
  });

  it('is, for Shopify, one and the same body under two topics: two facts', async () => {
    await send(ingress, fixture('shopify', 'orders-create'));
    await send(ingress, fixture('shopify', 'orders-paid'));
    const types = (await journalled(ingress)).map(({ event }) => event.type);
    assert.ok(types.includes('order.created') && types.includes('order.paid'));
  });

  it('lets nobody make a cancelled or fulfilled order of a Shopify body by its topic', async () => {
    for (const topic of ['orders-cancelled', 'orders-fulfilled']) {
      const before = await rejections(ingress);
      const body = fixtureText('shopify', 'orders-create').replace('#9999', topic);
      await send(ingress, deliver('shopify', topic, body));
      const letters = await rejections(ingress);
      assert.equal(letters.length, before.length + 1, topic);
      assert.ok(
        letters.some(({ message }) => /is not signed/.test(message)),
        topic,
      );
    }
    const before = await rejections(ingress);
    await send(
      ingress,
      deliver('shopify', 'orders-create', fixtureText('shopify', 'products-update')),
    );
    assert.equal((await rejections(ingress)).length, before.length + 1);
  });

  it('calls an order paid again once it was edited, and not when another body says that it is paid', async () => {
    const paid = (edit: object) => (order: Body) => ({ ...order, id: 17, ...edit });
    assert.deepEqual(await change('shopify', 'orders-paid', paid({})), ['order.paid']);
    const later = { updated_at: '2026-11-21T00:00:00Z', tags: 'later' };
    assert.deepEqual(await change('shopify', 'orders-paid', paid(later)), []);
    const edited = { current_total_price: '408.00' };
    assert.deepEqual(await change('shopify', 'orders-paid', paid(edited)), ['order.paid']);
    const unpaid = { financial_status: 'pending', id: 18 };
    assert.deepEqual(await change('shopify', 'orders-paid', paid(unpaid)), []);
  });

  it('wants of a Zendesk trigger the time of the change, without which two would be one', async () => {
    const at = (updated_at: unknown) => (body: Body) => ({ ...body, updated_at });
    const name = 'trigger.ticket.status_changed';
    assert.deepEqual(await change('zendesk', name, at('2026-11-20T15:00:00Z')), [
      'ticket.status_changed',
    ]);
    assert.deepEqual(await change('zendesk', name, at('2026-11-20T15:00:00Z')), []);
    assert.deepEqual(await change('zendesk', name, at('2026-11-20T16:00:00Z')), [
      'ticket.status_changed',
    ]);
    for (const missing of [undefined, '', 'November 20']) {
      assert.deepEqual(await change('zendesk', name, at(missing)), []);
      assert.match(await refusedNow(), /does not say when/);
    }
    assert.deepEqual(await change('zendesk', name, () => ({ text: 'a trigger of long ago' })), []);
  });

  it('is, for Jira, of one site: two sites have the same ids', async () => {
    const on = (site: string) => (body: Body) => {
      const text = JSON.stringify(body).replaceAll('https://acme.atlassian.net', site);
      return JSON.parse(text) as Body;
    };
    const name = 'issue_updated';
    const both = ['issue.transitioned', 'issue.updated'];
    assert.deepEqual(await change('jira', name, on('https://one.example')), both);
    assert.deepEqual(await change('jira', name, on('https://one.example')), []);
    assert.deepEqual(await change('jira', name, on('https://two.example')), both);
  });

  it('is, for Jira, the closing of a sprint by its date: it can be opened again', async () => {
    const closed = (completeDate: string) => (body: Body) => ({
      ...body,
      sprint: { ...(body.sprint as Body), id: 99, completeDate },
    });
    const name = 'sprint_closed';
    assert.deepEqual(await change('jira', name, closed('2026-12-04T09:00:00Z')), ['sprint.closed']);
    assert.deepEqual(await change('jira', name, closed('2026-12-04T09:00:00Z')), []);
    assert.deepEqual(await change('jira', name, closed('2026-12-05T09:00:00Z')), ['sprint.closed']);
  });
});
