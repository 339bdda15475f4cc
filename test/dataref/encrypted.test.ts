import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { dataConverter, journalSealing } from '../../src/encryption/index.ts';
import { readKeyring } from '../../src/encryption/keyring.ts';
import { decodePayloads } from '../../src/encryption/payload-codec.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { unpackDeliveries } from '../../src/model/delivery-batch.ts';
import type { RunInput } from '../../src/model/protocol.ts';
import { keyIn } from '../access/support.ts';
import { startWholeEngine, type WholeEngine } from '../data-care/whole-engine.ts';
import { startTemporal } from '../support/engine.ts';

const CANARY = 'quetzal-canary ';
const TEAM = CANARY.repeat(5_000);

describe('large event data with encryption, in the whole engine', function () {
  this.timeout(90_000);
  const keyring = readKeyring({
    TIDEGATE_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  });
  let env: TestWorkflowEnvironment;
  let journal: Journal;
  let engine: WholeEngine;

  before(async () => {
    env = await startTemporal();
    journal = await openJournal({ sealing: journalSealing(keyring) });
    engine = await startWholeEngine({
      env,
      journal,
      temporal: { dataConverter: dataConverter(keyring) },
      ingress: { decode: (payloads, tenant) => decodePayloads(keyring, payloads, tenant) },
    });
  });
  after(async () => {
    await engine?.stop();
    await journal?.close();
    await env?.teardown();
  });

  /** Payloads with which a run began and that it was signalled, as Temporal has them. */
  const given = async (run: string) => {
    const { events } = await env.client.workflow.getHandle(run).fetchHistory();
    return (events ?? []).flatMap((event) => [
      ...(event.workflowExecutionStartedEventAttributes?.input?.payloads ?? []),
      ...(event.workflowExecutionSignaledEventAttributes?.input?.payloads ?? []),
    ]);
  };
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

  const decode = async (
    payloads: readonly { metadata?: Record<string, Uint8Array> | null; data?: Uint8Array | null }[],
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const body = payloads.map(({ metadata, data }) => ({
      metadata: Object.fromEntries(
        Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)]),
      ),
      data: base64(data ?? new Uint8Array()),
    }));
    const response = await fetch(`${engine.url}/codec/decode`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ payloads: body }),
    });
    return (await response.json()) as {
      readonly code?: string;
      readonly payloads: readonly { readonly data: string }[];
    };
  };

  it('is nowhere in Temporal, in clear or not, and the codec server shows it', async () => {
    const person = { name: 'Ada', email: 'a@example.com' };
    const sent = await engine.send('person.joined', 'e1', { personId: 'p1', team: TEAM, person });
    assert.equal(sent.status, 202);
    await engine.parked('greet:default:p1', /^desk\.find/);
    const payloads = await given('greet:default:p1');
    const bytes = payloads.map(({ data }) => Buffer.from(data ?? []));
    assert.ok(Buffer.concat(bytes).length < 2_000);
    for (const { metadata } of payloads) {
      assert.deepEqual(Object.keys(metadata ?? {}), ['encoding']);
    }
    // What is encrypted has a path at which people find the event.
    const [payload] = decodePayloads(keyring, payloads, 'default');
    const [, dataref = ''] =
      /"dataref":"([^"]*)"/.exec(Buffer.from(payload?.data ?? []).toString()) ?? [];
    assert.ok((await engine.read(dataref)).includes(TEAM));
    const shown = await decode(payloads);
    const [input] = shown.payloads.map(({ data }) =>
      JSON.parse(Buffer.from(data, 'base64').toString()),
    ) as RunInput[];
    assert.deepEqual(
      unpackDeliveries(input?.deliveries)?.map(
        ({ event }) => (event.data as { readonly team: string }).team,
      ),
      [TEAM],
    );
  });

  it('is shown by the codec server to a caller of its tenant only', async () => {
    const reference = (tenant: string) => ({
      metadata: {
        encoding: Buffer.from('json/plain'),
        'tidegate-dataref': Buffer.from(
          JSON.stringify({
            tenant,
            events: [{ at: [], source: 'api', id: 'e1', sha256: '' }],
          }),
        ),
      },
      data: Buffer.from('{"dataref":""}'),
    });
    const { headers } = await keyIn(journal, { tenant: 'one', actions: ['operate:write'] });
    const other = await decode([reference('default')], headers);
    assert.equal(other.code, 'payload_corrupt');
    // Of its own tenant it gets what is there: nothing that has this hash.
    const own = await decode([reference('one')], headers);
    assert.equal(Buffer.from(own.payloads[0]?.data ?? '', 'base64').toString(), '{"dataref":""}');
  });
});
