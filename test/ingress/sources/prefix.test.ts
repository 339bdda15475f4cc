import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { defineEvents } from 'tidegate/contracts';
import {
  bindSources,
  githubEvents,
  hubspotSource,
  jiraSource,
  prefixEvents,
  shopifySource,
  slackSource,
  stripeSource,
  zendeskEvents,
  zendeskSource,
} from 'tidegate/ingress';
import { z } from 'zod';
import { TidegateError } from '../../../src/model/error.ts';
import { post, type TestIngress } from '../support.ts';
import {
  EVENTS,
  fixture,
  journalled,
  secretOf,
  secretsOf,
  signature,
  startVendorIngress,
} from './deliveries.ts';

/** A desk of our own, and two of Zendesk's. */
const events = defineEvents({
  'ticket.created': z.object({ desk: z.string() }),
  ...prefixEvents('zendesk', zendeskEvents),
});
// The compiler knows the prefixed types, and what their data is.
const contract = events.contracts['zendesk.ticket.status_changed'];
const sources = [
  zendeskSource({ prefix: 'zendesk' }),
  zendeskSource({ name: 'zendesk-emea', prefix: 'zendesk' }),
];

describe('A ready-made source with a name and a prefix', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startVendorIngress({
      catalogue: events,
      sources: bindSources(sources, {
        TIDEGATE_SOURCE_ZENDESK_SECRET: secretOf('zendesk'),
        TIDEGATE_SOURCE_ZENDESK_EMEA_SECRET: 'another-secret',
      }),
    });
  });
  after(() => ingress.stop());

  it('brings its ticket.created beside that of another', async () => {
    const delivery = fixture('zendesk', 'event.ticket.created');
    const { headers, body } = delivery;
    await post(`${ingress.url}/hooks/zendesk`, body, { ...headers, ...signature(delivery) });
    await post(`${ingress.url}/events/ticket.created`, '{"desk":"own"}', {
      'content-type': 'application/json',
    });
    const types = (await journalled(ingress)).map(({ event }) => event.type).sort();
    assert.deepEqual(types, ['ticket.created', 'zendesk.ticket.created']);
  });

  it('takes of the second account what the second secret has signed', async () => {
    const delivery = fixture('zendesk', 'event.ticket.created');
    const answer = await post(`${ingress.url}/hooks/zendesk-emea`, delivery.body, {
      ...delivery.headers,
      ...signature(delivery),
    });
    assert.equal(answer.status, 401);
  });

  it('has contracts under the prefixed names', () => {
    const data = { ticketId: '1', tags: [], to: 'solved' };
    assert.deepEqual(contract.check(data, 1).ok, true);
    assert.equal(Object.hasOwn(events.contracts, 'ticket.status_changed'), false);
  });

  it('leaves what is no event as it is', () => {
    const delivery = { payload: {}, headers: { 'x-shopify-topic': 'carts/update' }, bodyHash: '' };
    const mapped = shopifySource({ prefix: 'shop' }).toEvents(delivery);
    assert.deepEqual(mapped, { ignored: 'shopify: carts/update is not mapped to an event' });
  });

  it('is refused with a name that cannot be a path', () => {
    for (const make of [
      stripeSource,
      slackSource,
      shopifySource,
      zendeskSource,
      hubspotSource,
      jiraSource,
    ]) {
      assert.throws(
        () => make({ name: 'Not A Path' }),
        (error: unknown) => TidegateError.is(error, 'source_invalid'),
      );
      assert.equal(bindSources([make({ name: 'other' })], secretsOf(['other']))[0]?.name, 'other');
    }
  });
});

describe('The contracts of the ready-made sources', () => {
  it('have no type in common, so that all can be spread into one catalogue', () => {
    const types = [githubEvents, ...Object.values(EVENTS)].flatMap((each) => Object.keys(each));
    assert.deepEqual(
      types.filter((type, index) => types.indexOf(type) !== index),
      [],
    );
  });
});
