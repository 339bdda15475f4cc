/**
 * Large event data goes to Temporal by reference: it is kept once, in the journal, and read from there when
 * a worker needs it. A payload codec does it on the way to Temporal and back, so that neither flows nor the
 * code around them know. A history has a hash of what was taken out, and nothing else is put back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import type { DataOwner } from '../journal/data-of-events.ts';
import type { Journal } from '../journal/journal.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import { createDataCache } from './data-cache.ts';
import {
  type DataReference,
  dataJson,
  openPayload,
  type References,
  referencesOf,
  restorePayload,
  sha256,
} from './references.ts';

export interface DataByReference {
  /** To stand before what encrypts. */
  readonly codec: PayloadCodec;
  /**
   * Payloads with their data, for people: a reference stays where the data is not there, cannot be read now,
   * or would make the answer larger than LIMITS.codecBodyBytesMax.
   *
   * @param tenant whose they must be. @default that of each
   * @throws TidegateError `payload_corrupt` for another tenant's
   */
  show(payloads: readonly Payload[], tenant: string | undefined): Promise<readonly Payload[]>;
}

/** How long a journal that is away is waited for: a workflow task may take ten seconds. */
const AWAY_MS = 8_000;

/**
 * Codec and reader over a journal, with a cache of LIMITS.dataCacheBytesMax.
 *
 * @throws TidegateError from the codec, which fails the task, and Temporal tries it again:
 * `journal_unavailable` · `event_data_missing` · `payload_corrupt`
 */
export function dataByReference(
  journal: Pick<Journal, 'dataOfEvents'>,
  { awayMs = AWAY_MS }: { readonly awayMs?: number } = {},
): DataByReference {
  const cache = createDataCache(LIMITS.dataCacheBytesMax);

  /** The data of references as JSON, exactly as it was taken out; without what the journal has not. */
  const load = async (owner: DataOwner, references: readonly DataReference[], waitMs: number) => {
    const found = new Map<DataReference, Buffer | 'erased'>();
    for (const reference of references) {
      const json = cache.get(keyOf(owner, reference));
      if (json !== undefined) found.set(reference, json);
    }
    const asked = references.filter((reference) => !found.has(reference));
    if (asked.length === 0) return found;
    const answers = await whileAway(() => journal.dataOfEvents(owner, asked), waitMs);
    for (const [index, reference] of asked.entries()) {
      const kept = answers[index];
      if (kept?.status === 'erased') found.set(reference, 'erased');
      if (kept?.status !== 'kept') continue;
      const json = dataJson(kept.data);
      if (sha256(json) !== reference.sha256) continue;
      cache.set(keyOf(owner, reference), json);
      found.set(reference, json);
    }
    return found;
  };

  const takeOut = async (payload: Payload, owner: DataOwner): Promise<Payload> => {
    const opened = openPayload(payload);
    const large = opened?.largeEvents(owner.tenant) ?? [];
    if (opened === undefined || large.length === 0) return payload;
    const references = large.map(({ reference }) => reference);
    const found = await load(owner, references, awayMs);
    // What the run was not given, or with other data, may be erased under it: it goes as it is.
    const kept = large.filter(({ reference }) => Buffer.isBuffer(found.get(reference)));
    if (kept.length === 0) return payload;
    for (const event of kept) event.replace();
    return opened.close({ tenant: owner.tenant, events: kept.map(({ reference }) => reference) });
  };

  const putBack = async (
    payload: Payload,
    { tenant, events }: References,
    { run, waitMs }: { readonly run?: RunId | undefined; readonly waitMs: number },
  ): Promise<Payload> => {
    const owner = run === undefined ? { tenant } : { tenant, run };
    const found = await load(owner, events, waitMs);
    return restorePayload(
      payload,
      events.map((reference) => {
        const json = found.get(reference);
        if (json === undefined) throw missing(tenant, reference);
        return { reference, data: json === 'erased' ? json : { json } };
      }),
    );
  };

  return {
    codec: {
      encode: async (payloads, context) => {
        const owner = ownerOf(context);
        // Of what is no run, and where it is not known, nothing is in the journal.
        if (owner?.run === undefined) return payloads;
        return Promise.all(payloads.map((payload) => takeOut(payload, owner)));
      },
      decode: (payloads, context) => {
        const owner = ownerOf(context);
        const from = { run: owner?.run, waitMs: awayMs };
        return Promise.all(
          payloads.map(async (payload) => {
            const references = referencesIn(payload, owner?.tenant);
            return references === undefined ? payload : putBack(payload, references, from);
          }),
        );
      },
    },
    async show(payloads, tenant) {
      const shown: Payload[] = [];
      let bytesLeft = LIMITS.codecBodyBytesMax;
      for (const payload of payloads) {
        const references = referencesIn(payload, tenant);
        const bytesAtLeast = (references?.events.length ?? 0) * LIMITS.inlineDataBytesMax;
        const whole =
          references === undefined || bytesAtLeast > bytesLeft
            ? payload
            : await putBack(payload, references, { waitMs: 0 }).catch(() => payload);
        const more = (whole.data?.length ?? 0) - (payload.data?.length ?? 0);
        shown.push(more > bytesLeft ? payload : whole);
        if (more <= bytesLeft) bytesLeft -= more;
      }
      return shown;
    },
  };
}

/** What converts payloads, with large event data by reference. */
export const withDataByReference = (
  converter: DataConverter | undefined,
  { codec }: Pick<DataByReference, 'codec'>,
): DataConverter => ({
  ...converter,
  // The first is the first on the way to Temporal: what it takes out is not there to be encrypted.
  payloadCodecs: [codec, ...(converter?.payloadCodecs ?? [])],
});

type Context = Parameters<PayloadCodec['encode']>[1];

/** The run whose payloads these are; of no tenant for what is no run, undefined when it is not known. */
function ownerOf(context: Context): DataOwner | undefined {
  if (context?.workflowId === undefined) return undefined;
  const { workflowId } = context;
  const parts = parseRunId(workflowId);
  return parts === undefined ? { tenant: '' } : { tenant: parts.tenant, run: workflowId as RunId };
}

function referencesIn(payload: Payload, tenant: string | undefined): References | undefined {
  const references = referencesOf(payload);
  if (references === undefined || tenant === undefined || references.tenant === tenant) {
    return references;
  }
  throw new TidegateError(
    'payload_corrupt',
    'A payload refers to event data of another tenant: it was changed, or belongs elsewhere.',
  );
}

const keyOf = ({ tenant, run }: DataOwner, { source, id, sha256 }: DataReference): string =>
  JSON.stringify([tenant, run, source, id, sha256]);

/** Asks again for a while, so that a short outage of the journal costs no workflow task. */
async function whileAway<Result>(ask: () => Promise<Result>, waitMs: number): Promise<Result> {
  const until = Date.now() + waitMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(1_000, pauseMs * 2)) {
    try {
      return await ask();
    } catch (error) {
      const isAway = TidegateError.is(error, 'journal_unavailable');
      if (!isAway || Date.now() + pauseMs >= until) throw error;
    }
    await sleep(pauseMs);
  }
}

const missing = (tenant: string, { source, id }: DataReference): TidegateError =>
  new TidegateError(
    'event_data_missing',
    `The journal does not have the data of the event ${id} from ${source} (tenant ${tenant}) that this run was given. Nothing acts without it, and Temporal tries the task again: check that DATABASE_URL names the journal that took the event in, and that it was not restored from an older backup.`,
    { details: { tenant, source, id } },
  );
