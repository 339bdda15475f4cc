import type { Payload, PayloadCodec } from '@temporalio/common';
import { parseRunId } from '../model/run.ts';
import type { Keyring } from './keyring.ts';
import { seal, unseal } from './seal.ts';

type Context = Parameters<PayloadCodec['encode']>[1];

const ENCODING = 'binary/tidegate-encrypted';
const PURPOSE = 'temporal payload';

/** Whether a payload is encrypted by us. */
export const isOurs = ({ metadata }: Payload): boolean =>
  metadata?.encoding !== undefined && Buffer.from(metadata.encoding).toString() === ENCODING;

/**
 * Encrypts what Temporal is given, under the key of the run's tenant; other workflows of a project have a
 * key of their own. Without a key it encrypts nothing. What is not encrypted is read as it is, so that
 * histories of before go on; what cannot be read fails the task, which Temporal tries again until a worker
 * has the key.
 */
export const payloadCodec = (keyring: Keyring): PayloadCodec => ({
  encode: async (payloads, context) =>
    payloads.map((payload) => encrypted(keyring, payload, tenantOf(context) ?? '')),
  decode: async (payloads, context) =>
    payloads.map((payload) => decrypted(keyring, payload, tenantOf(context))),
});

/** Payloads as they were before they were encrypted, for people; of one tenant, where one is named. */
export const decodePayloads = (
  keyring: Keyring,
  payloads: readonly Payload[],
  tenant: string | undefined,
): readonly Payload[] => payloads.map((payload) => decrypted(keyring, payload, tenant));

/** The tenant of the run whose payloads these are; undefined when it is not known. */
function tenantOf(context: Context): string | undefined {
  const workflowId = context?.workflowId;
  return workflowId === undefined ? undefined : (parseRunId(workflowId)?.tenant ?? '');
}

function encrypted(keyring: Keyring, payload: Payload, tenant: string): Payload {
  const data = seal(keyring, toBytes(payload), { tenant, purpose: PURPOSE });
  return data === undefined
    ? payload
    : { metadata: { encoding: new Uint8Array(Buffer.from(ENCODING)) }, data };
}

function decrypted(keyring: Keyring, payload: Payload, tenant: string | undefined): Payload {
  if (!isOurs(payload)) return payload;
  const expected = tenant === undefined ? {} : { tenant };
  return fromBytes(unseal(keyring, payload.data ?? NOTHING, { purpose: PURPOSE, ...expected }));
}

const NOTHING = new Uint8Array();

/** The length of the metadata, the metadata as JSON, the data. */
function toBytes({ metadata, data }: Payload): Uint8Array {
  const texts = Object.entries(metadata ?? {}).map(([name, value]) => [
    name,
    Buffer.from(value).toString('base64'),
  ]);
  const head = Buffer.from(JSON.stringify(Object.fromEntries(texts)));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, data ?? NOTHING]);
}

function fromBytes(bytes: Uint8Array): Payload {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headEnd = 4 + buffer.readUInt32BE(0);
  const texts = JSON.parse(buffer.toString('utf8', 4, headEnd)) as Record<string, string>;
  const metadata = Object.entries(texts).map(([name, base64]) => [
    name,
    new Uint8Array(Buffer.from(base64, 'base64')),
  ]);
  return {
    metadata: Object.fromEntries(metadata),
    data: new Uint8Array(buffer.subarray(headEnd)),
  };
}
